"""What varies is taken out of messages, files and functions, and what does not stays."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.errors.normal.file import file_key
from projections.errors.normal.function import function_key
from projections.errors.normal.message import _normal, _shape, normal_message
from projections.errors.normal.recursion import folded
from tests.thorough import examples

VALUES = {
    "id 1f0c9a52-7b1e-4ac0-9d1c-0a1b2c3d4e5f": "id 00000000-0000-4000-8000-000000000001",
    "at 10.0.0.7:5432": "at 192.168.1.20:6379",
    "by [2001:db8::1]:80": "by [fe80::1ff:fe23:4567:890a]:443",
    "open /var/lib/a/b.txt": "open /home/alice/proj/other.csv",
    "open C:\\Users\\al\\x.txt": "open D:\\b\\y.log",
    "took 59.9s": "took 1m0.2s",
    "took 30 seconds": "took 2 minutes",
    "took 0:00:59": "took 1:02:03",
    "on 2026-11-30T12:00:00Z": "on 2025-01-02 03:04:05.678+02:00",
    "offset -5": "offset 17",
    "user 'alice'": "user 'bob'",
    'user "alice"': 'user "it is"',
    "see https://a.example/x?y=1": "see http://b.example:8080/",
    "mail a.b@example.org": "mail someone@else.example.com",
    "pod api-6d5f7c9b8d-x2x4z gone": "pod api-7f8d9c6b54-abcde gone",
    "commit deadbeef01 failed": "commit 0123456789abcdef failed",
    "object at 0x7f3a2b": "object at 0x55de",
    "read 10 MB": "read 2.5 GB",
    "host=db-1 down": "host=db-2 down",
    "ids [1, 2, 3]": "ids [4, 5, 6, 7]",
}


@pytest.mark.parametrize(("one", "other"), VALUES.items())
def test_values_do_not_matter(one: str, other: str) -> None:
    """Two messages that differ in a value are one."""
    assert normal_message(one) == normal_message(other)


@pytest.mark.parametrize(
    ("message", "normal"),
    [
        ("can't open 'x', won't retry", "can't open <text>, won't retry"),
        ("the user's name isn't the customer's", "the user's name isn't the customer's"),
        ("ORA-00942: table or view does not exist", "ORA-00942: table or view does not exist"),
        ("error TS2304: Cannot find name 'x'", "error TS2304: Cannot find name <text>"),
        ("status=UNAVAILABLE host=a", "status=UNAVAILABLE host=<value>"),
        ("and/or read/write", "and/or read/write"),
        ("said 'connection was refused' twice", "said connection was refused twice"),
        ("facade deadline", "facade deadline"),
        ("caf\u00e9 17", "caf\u00e9 <number>"),
    ],
)
def test_words_stay(message: str, normal: str) -> None:
    """Apostrophes are no quotes, codes no numbers, sentences no values."""
    assert normal_message(message) == normal


PIECES = st.sampled_from(
    ["'", '"', "`", " ", "\n", "/", "\\", ":", "=", "<", ">", "@", "-", "+", ".", ",", "[", "]",
     "#", "a", "the", "E", "0x", "12", "7f", "deadbeef", "10.0.0.1", "::1", "m", "s", "ms", "GB",
     "ORA-1",
     "http://", "x.py", "2026-11-30", "12:30:45", "é", "“", "”", "(", ")", "{", "}", "number"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=80))
def test_to_normalise_again_changes_nothing(text: str) -> None:
    """What is normal is normal."""
    once = normal_message(text)
    assert normal_message(once) == once


@given(st.uuids(), st.uuids(), st.integers(), st.integers(min_value=0))
def test_ids_and_numbers_never_matter(one: object, other: object, a: int, b: int) -> None:
    """Whatever the ids and the numbers are."""
    text = "job {} of queue mail failed after {} tries"
    assert normal_message(text.format(one, a)) == normal_message(text.format(other, b))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/srv/releases/20240101120000/shop/pay.py", "/home/al/shop/pay.py"),
        ("C:\\app\\pay.py", "/app/pay.py"),
        ("/app/dist/main.3f2a9c1d.js", "/app/dist/main.99aa01bc.js"),
        ("/app/shop/views.py", "/srv/other/shop/views.py"),
        ("/srv/app-1.2.3/index.js", "/srv/app-1.2.4/index.js"),
        ("webpack:///./src/pay.ts?a1b2", "/build/src/pay.ts"),
    ],
)
def test_where_a_file_is_installed_does_not_matter(one: str, other: str) -> None:
    """Folders of releases, hashes of content and the kind of slash do not count."""
    assert file_key(one) == file_key(other)


def test_files_of_one_general_name_are_told_apart() -> None:
    """Half of all projects is called `index` or `views`."""
    assert file_key("/app/shop/views.py") != file_key("/app/blog/views.py")


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("java", "shop.Main$$Lambda$14/0x0000000800c03000.run",
         "shop.Main$$Lambda$99/0x0000000800c99000.run"),
        ("java", "shop.Main$$Lambda/0x00007f1c.run", "shop.Main$$Lambda/0x00007fff.run"),
        ("java", "com.sun.proxy.$Proxy12.save", "com.sun.proxy.$Proxy7.save"),
        ("java", "shop.Pay$$EnhancerBySpringCGLIB$$1a2b3c.pay",
         "shop.Pay$$EnhancerBySpringCGLIB$$99ffee.pay"),
        ("java", "sun.reflect.GeneratedMethodAccessor12.invoke",
         "sun.reflect.GeneratedMethodAccessor3.invoke"),
        ("java", "shop.Main.lambda$pay$0", "shop.Main.lambda$pay$3"),
        ("rust", "shop::pay::h0123456789abcdef", "shop::pay::hfedcba9876543210"),
        ("rust", "shop::pay::{{closure}}", "shop::pay::{closure#0}"),
        ("dotnet", "Shop.<Pay>d__5.MoveNext", "Shop.<Pay>d__7.MoveNext"),
        ("dotnet", "Shop.<>c__DisplayClass5_0.<Pay>b__0", "Shop.<>c__DisplayClass6_0.<Pay>b__1"),
        ("go", "main.pay.func1", "main.pay.func2.1"),
        ("php", "class@anonymous%0/srv/a.php:3$0->pay", "class@anonymous%0/opt/b.php:9$1->pay"),
        ("ruby", "block in pay", "block (2 levels) in pay"),
    ],
)  # fmt: skip
def test_names_that_a_runtime_makes_up_do_not_matter(language: str, one: str, other: str) -> None:
    """Lambdas, proxies and generated classes have another name at each start."""
    assert function_key(language, one) == function_key(language, other)


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=4),
    st.integers(2, 50),
    st.integers(2, 50),
)
def test_how_deep_a_recursion_went_does_not_matter(round_: list[str], few: int, many: int) -> None:
    """Rounds of several functions are folded as well."""
    head, tail = ["raise"], ["main"]
    assert folded([*head, *round_ * few, *tail]) == folded([*head, *round_ * many, *tail])


_HEX = st.text("0123456789abcdef", min_size=4, max_size=20)
_SAME = st.sampled_from(
    ["step", "after", "ms", "s", "of", "code=", "x=", "@", "/", "-", ".", ":", "'", '"', "(", ")",
     ",", "d", "e5", "MB", "0x", "utf", "days", "<number>", "ORA-", "E", "pod-", " ", " ", " "]
)  # fmt: skip
_PAIRS = st.one_of(
    _SAME.map(lambda text: (text, text)),
    st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)).map(lambda two: tuple(map(str, two))),
    st.tuples(_HEX, _HEX),
    st.tuples(st.uuids().map(str), st.uuids().map(str)),
)


@settings(max_examples=examples(300))
@given(st.lists(_PAIRS, max_size=14), st.integers(0, 9))
def test_what_is_kept_of_a_message_holds_for_all_of_its_shape(
    pieces: list[tuple[str, str]], by: int
) -> None:
    """Other digits and hashes in the same places give the template that they give themselves."""
    one, other = ("".join(texts) for texts in zip(*pieces, strict=True)) if pieces else ("", "")
    shifted = "".join(str((int(c) + by) % 10) if c in "0123456789" else c for c in one)
    for second in (other, shifted):
        if _shape(one) == _shape(second):
            normal_message(one)
            assert normal_message(second) == _normal(second)
