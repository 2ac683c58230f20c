"""The same error has one fingerprint, another one another: what users of trackers reported."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import BadInput
from projections.errors.assessment import record_of
from projections.errors.fingerprints.fingerprint import Fingerprint
from projections.errors.fingerprints.versions import CURRENT, VERSIONS, compare, version
from projections.errors.signature import Signature, signature_of

PYTHON = """Traceback (most recent call last):
  File "{root}/shop/orders.py", line {line}, in place
    pay(order)
  File "{root}/shop/pay.py", line 7, in {function}
    client.charge(order)
  File "/usr/lib/python3.11/site-packages/{library}.py", line {library_line}, in charge
    raise {type}({message!r})
{type}: {message}"""
JAVA = """java.lang.RuntimeException: job failed
\tat shop.Jobs.run(Jobs.java:{line})
\tat shop.Jobs$$Lambda${lambda_}/0x0000.run(Unknown Source)
Caused by: {cause}
\tat shop.Client.call(Client.java:{line})
\t... {line} more"""
NODE = """Error: order {order} failed
    at place (/srv/app/dist/orders.{hash}.js:{line}:11)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"""
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/app/job.py", line 4, in main
  |     async with TaskGroup():
  | ExceptionGroup: unhandled errors in a TaskGroup ({count} sub-exception)
{members}"""
MEMBER = """  +-+---------------- {number} ----------------
    | Traceback (most recent call last):
    |   File "/app/job.py", line 9, in one
    |     raise ValueError()
    | ValueError: bad order {number}
    +------------------------------------"""


def made(**record: Any) -> Fingerprint:
    """The fingerprint of a record, by the current version."""
    return version(CURRENT)(signature_of(record_of(record)))


def python(**changes: Any) -> str:
    """A trace of Python."""
    given_ = {
        "root": "/srv/app", "line": 10, "function": "pay", "library": "stripe",
        "library_line": 5, "type": "ValueError", "message": "order 17 is closed",
    }  # fmt: skip
    return PYTHON.format(**(given_ | changes))


WRONGLY_SPLIT = {
    "a line": ({"stacktrace": python()}, {"stacktrace": python(line=99)}),
    "a path": ({"stacktrace": python()}, {"stacktrace": python(root="/home/al/src")}),
    "a release folder": (
        {"stacktrace": python(root="/srv/releases/20240101120000")},
        {"stacktrace": python(root="/srv/releases/20260309083000")},
    ),
    "a line of a library": ({"stacktrace": python()}, {"stacktrace": python(library_line=77)}),
    "a library that moved a function": (
        {"stacktrace": python()}, {"stacktrace": python(library="stripe/_http")},
    ),
    "Windows line ends": (
        {"stacktrace": python()}, {"stacktrace": python().replace("\n", "\r\n")},
    ),
    "a hash of content": (
        {"stacktrace": NODE.format(order=1, hash="3f2a9c1d", line=3)},
        {"stacktrace": NODE.format(order=2, hash="99aa01bc", line=4)},
    ),
    "a lambda's number": (
        {"stacktrace": JAVA.format(line=1, lambda_=14, cause="java.io.IOException: x")},
        {"stacktrace": JAVA.format(line=2, lambda_=99, cause="java.io.IOException: x")},
    ),
    "a duration over and under a minute": (
        {"message": "gave up after 59.9s"}, {"message": "gave up after 1m0.1s"},
    ),
    "a negative number": ({"message": "offset -1 refused"}, {"message": "offset 12 refused"}),
    "pods of one deployment": (
        {"message": "pod api-6d5f7c9b8d-x2x4z is gone"},
        {"message": "pod api-6d5f7c9b8d-q9k2m is gone"},
    ),
    "the number of errors in a group": (
        {"stacktrace": GROUP.format(count=1, members=MEMBER.format(number=1))},
        {"stacktrace": GROUP.format(
            count=2, members="\n".join(MEMBER.format(number=n) for n in (1, 2))
        )},
    ),
    "where the type is qualified": (
        {"type": "ValueError", "message": "x"}, {"type": "builtins.ValueError", "message": "x"},
    ),
    "a type told twice": (
        {"type": "ValueError", "message": "bad x"},
        {"type": "ValueError", "message": "ValueError: bad x"},
    ),
    "a message that is the trace": (
        {"message": python()}, {"stacktrace": python()},
    ),
}  # fmt: skip
WRONGLY_MERGED = {
    "apostrophes taken for quotes": (
        {"message": "can't open the door, won't retry"},
        {"message": "can't read the letter, won't retry"},
    ),
    "functions of one file": (
        {"stacktrace": python()}, {"stacktrace": python(function="refund")},
    ),
    "empty messages of other types": (
        {"type": "KeyError", "message": ""}, {"type": "IndexError", "message": ""},
    ),
    "empty messages at other places": (
        {"message": "", "stacktrace": python(message="")},
        {"message": "", "stacktrace": python(message="", function="refund")},
    ),
    "one wrapper around other causes": (
        {"stacktrace": JAVA.format(line=1, lambda_=1, cause="java.net.ConnectException: refused")},
        {"stacktrace": JAVA.format(line=1, lambda_=1, cause="java.io.EOFException: end")},
    ),
    "another status": (
        {"type": "HTTPError", "message": "404 Client Error: Not Found for url: http://a/b"},
        {"type": "HTTPError", "message": "403 Client Error: Forbidden for url: http://a/b"},
    ),
    "another errno": (
        {"type": "OSError", "message": "[Errno 28] failed: '/a'"},
        {"type": "OSError", "message": "[Errno 5] failed: '/a'"},
    ),
    "a cause in quotes": (
        {"type": "E", "message": "failed (caused by 'name could not be resolved')"},
        {"type": "E", "message": "failed (caused by 'connection was refused by peer')"},
    ),
    "another code beside the message": (
        {"message": "request failed", "attributes": {"http.response.status_code": 404}},
        {"message": "request failed", "attributes": {"http.response.status_code": 503}},
    ),
    "another statement of one function": (
        {"stacktrace": python()}, {"stacktrace": python(message="no such customer")},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("one", "other"), WRONGLY_SPLIT.values(), ids=WRONGLY_SPLIT)
def test_what_does_not_matter_does_not_split(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Both are one error."""
    assert made(**one).digest == made(**other).digest


@pytest.mark.parametrize(("one", "other"), WRONGLY_MERGED.values(), ids=WRONGLY_MERGED)
def test_other_errors_are_not_merged(one: dict[str, Any], other: dict[str, Any]) -> None:
    """They look alike, and are two errors."""
    assert made(**one).digest != made(**other).digest


def test_the_senders_own_identity_comes_first() -> None:
    """Who says which error it is, is believed."""
    own = {"attributes": {"error.fingerprint": "payments/declined"}}
    one, other = made(message="a", **own), made(type="E", stacktrace=python(), **own)
    assert one.digest == other.digest
    assert one.basis == "own"


@pytest.mark.parametrize(
    ("record", "basis"),
    [
        ({"type": "E", "message": "x", "stacktrace": python()}, "stack"),
        ({"type": "E", "message": "x"}, "type and message"),
        ({"message": "x"}, "message"),
        ({}, "nothing"),
    ],
)
def test_the_order_of_what_decides(record: dict[str, Any], basis: str) -> None:
    """The stack, else type and message, else the message alone; the components say which."""
    found = made(**record)
    assert found.basis == basis
    assert (found.stack_hash is not None) == (basis == "stack")


def test_components_show_what_decided() -> None:
    """Only the application's frames count, without lines."""
    told = dict(made(stacktrace=python()).components)
    assert told["frames"] == "pay.py:pay\norders.py:place"
    assert told["message"] == "order <number> is closed"


def nameless(called: str, line: int = 7, deeper: str = "open_file") -> str:
    """A stack of a function without a name that called a library."""
    return (
        "Traceback (most recent call last):\n"
        f'  File "/srv/app/worker.py", line {line}, in <lambda>\n    run()\n'
        f'  File "/srv/venv/lib/python3.11/site-packages/lib/api.py", line {line}, in {called}\n'
        f'  File "/srv/venv/lib/python3.11/site-packages/lib/io.py", line {line}, in {deeper}\n'
        "FileNotFoundError: [Errno 2] No such file or directory: '/tmp/a'"
    )


def test_functions_without_a_name_are_told_by_what_they_call() -> None:
    """All lambdas of a file have one name: what one reads is not what another copies."""
    assert made(stacktrace=nameless("read")) != made(stacktrace=nameless("copy"))


def test_what_a_library_does_below_its_function_does_not_matter() -> None:
    """Another line, another function further in."""
    moved = nameless("read", line=90, deeper="open_it")
    assert made(stacktrace=nameless("read")).digest == made(stacktrace=moved).digest


def test_a_version_that_is_not_there_is_named() -> None:
    """With those that are."""
    with pytest.raises(BadInput, match="no fingerprint version 9; there are 1, 2"):
        version(9)


def test_versions_are_compared_by_what_would_merge_and_split() -> None:
    """Version 2 merges what a library moved, and splits what only a cause tells apart."""
    moved = [python(), python(library="stripe/_http")]
    causes = [
        JAVA.format(line=1, lambda_=1, cause=cause)
        for cause in ("java.io.EOFException: end", "java.net.ConnectException: refused")
    ]
    signatures = [signature_of(record_of({"stacktrace": text})) for text in moved + causes]
    found = compare(signatures, VERSIONS[1], VERSIONS[2])
    assert (found.before, found.after) == (3, 3)
    assert len(found.merged) == len(found.split) == 1
    assert len(found.merged[0].several) == len(found.split[0].several) == 2


def test_the_same_version_moves_nothing() -> None:
    """Compared with itself, a version merges and splits nothing."""
    signatures = [signature_of(record_of({"message": f"m{letter}"})) for letter in "abc"]
    found = compare(signatures, VERSIONS[2], VERSIONS[2])
    assert (found.before, found.after, found.merged, found.split) == (3, 3, (), ())


@given(st.builds(dict, type=st.text(), message=st.text(), stacktrace=st.text()))
def test_any_text_has_a_fingerprint(record: dict[str, Any]) -> None:
    """Nothing a sender writes is an error of ours; equal records have equal signatures."""
    signature = signature_of(record_of(record))
    assert isinstance(signature, Signature)
    assert signature == signature_of(record_of(record))
    for number in VERSIONS:
        assert len(version(number)(signature).digest) == 32
