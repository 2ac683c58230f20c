"""Codes that an error carries: errno, HTTP and gRPC status, SQLSTATE, exit codes, signals, names.

They are written `kind:value`: `errno:ECONNREFUSED`, `http:503`, `grpc:UNAVAILABLE`,
`sqlstate:23505`, `mysql:1062`, `ora:00001`, `exit:137`, `signal:SIGKILL`,
`name:insufficient_quota`.
A message's words are normalised for its template; what the codes say is kept here.
"""

import errno
import signal
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any, Final

import msgspec

from projections.errors.normal.scan import Scan

TEXT_LIMIT_CHARS: Final = 16_000
CODES_LIMIT: Final = 12
GRPC: Final = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
_REASONS: Final = (
    "Bad Request|Unauthorized|Payment Required|Forbidden|Not Found|Method Not Allowed|"
    "Not Acceptable|Proxy Authentication Required|Request Timeout|Conflict|Gone|Length Required|"
    "Precondition Failed|Payload Too Large|Request Entity Too Large|Unsupported Media Type|"
    "Unprocessable (?:Entity|Content)|Locked|Too Many Requests|Internal Server Error|"
    "Not Implemented|Bad Gateway|Service (?:Temporarily )?Unavailable|Gateway Time-?out|"
    "Client Error|Server Error|Insufficient Storage"
)
_LIBRARY: Final = msgspec.toml.decode(
    resources.files("projections.errors").joinpath("codes.toml").read_text("utf-8")
)
_NAMES: Final = frozenset(_LIBRARY["names"])
_ERRNOS: Final = frozenset(errno.errorcode.values()) | frozenset(_LIBRARY["errnos"])
ATTRIBUTES: Final[Mapping[str, str]] = _LIBRARY["attributes"]
"""Attributes in which senders put codes, and of which kind these are."""
_SIGNALS: Final = frozenset(one.name for one in signal.Signals)
_SCAN: Final = Scan(
    r"\bnpm (?:ERR!|error) errno \d+",
    r"(?i:\berrno[:= ]{1,2}-?\d+)",
    r"(?i:\bsqlstate[ :=\[(]{1,3}[0-9A-Z]{5}\b)",
    r"(?i:\b(?:http(?:/[\d.]+)?(?: (?:error|status|response))?(?: code)?|status[ _]?code|status|"
    r"exception|response code|response status|returned error|error code|httpcode|code)\b[\"']?"
    r"(?: is| of| was|=)?[:= (]{1,3}[\"']?[1-5]\d\d\b)",
    rf"(?i:\b[45]\d\d:?,? (?:{_REASONS})\b)",
    r"\b[45]\d\d, message=",
    r"\b[45]\d\d\b[ ,:;-]{0,3}b?[\"']?[45]\.\d\.\d{1,3}\b",
    r"^[45]\d\d\b",
    r"\(os error \d+\)",
    r"does not indicate success: [45]\d\d\b",
    r'StatusCode="[A-Z]\w+"',
    r"SQLSTATE\[HY000\](?: \[|: General error: )\d{4}\b",
    r"(?i:\b(?:failed with status|"
    r"exit(?:ed|s)?(?: with| unexpectedly with)?(?: an?)?(?: non-?zero)?(?: exit)?"
    r"(?: status| code|code)?|non-?zero (?:exit )?(?:status|code)|exit_?code|return code|rc|"
    r"returncode)[:= ]{1,2}(?:code |status )?\(?-?\d{1,10}\b)",
    r"\*\*\* \[[^\]\n]{1,200}\] Error \d{1,3}",
    r"(?i:\b(?:signal|killed by)[: ]{1,2}(?:signal )?[(\x22]?\d{1,2}\b)",
    r"(?i:\bsignal: \w+)",
    r"\bSIG[A-Z]{3,6}\b",
    r"\bcode ?= ?[A-Z]\w+ desc\b",
    r"\bORA-\d{5}\b",
    r"\bERROR \d{4} \([0-9A-Z]{5}\)",
    r"\(\d{4}, [\"']",
    r"\bE11000\b",
    r"(?i:\(SQLSTATE [0-9A-Z]{5}\))",
    r"\b\d{6} \([0-9A-Z]{5}\)",
    r"\bStatusCode\.[A-Z_]+\b",
    r"\bstatus=\d{1,2}/[A-Z]{3,6}\b",
)


_WORDS: Final = {
    **{name: f"signal:{name}" for name in _SIGNALS},
    **{name: f"grpc:{name}" for name in GRPC if "_" in name or name == "UNAVAILABLE"},
    **{name: f"errno:{name}" for name in _ERRNOS},
    **{name: f"name:{name}" for name in _NAMES},
}
"""Words that are codes wherever they stand."""
_BYTE_WORDS: Final = {word.encode(): code for word, code in _WORDS.items()}
_MARKS: Final = b".,:;()[]{}<>'\"`=/\\|!?#@&*+\n\t"
_APART: Final = bytes.maketrans(_MARKS, b" " * len(_MARKS))
_DIGITS: Final = frozenset(b"0123456789")


def codes_of(text: str, attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """The codes in a message and its attributes, ascending, at most twelve."""
    found = set(_of_attributes(attributes)) if attributes else set()
    data = text[:TEXT_LIMIT_CHARS].encode("utf-8", "replace")
    for word in _BYTE_WORDS.keys() & data.translate(_APART).split():
        found.add(_BYTE_WORDS[word])
    if not data.islower() or not _DIGITS.isdisjoint(data) or b"signal" in data:
        for start, stop in _SCAN.spans(data):
            code = _code(data[start:stop].decode("utf-8", "replace"))
            if code:
                found.add(code)
    return tuple(sorted(found)[:CODES_LIMIT])


def _of_attributes(attributes: Mapping[str, Any]) -> Iterable[str]:
    for key, kind in ATTRIBUTES.items():
        value = attributes.get(key)
        if value is not None and value != "" and not isinstance(value, bool):
            yield from _of_attribute(kind, str(value).strip())


def _of_attribute(kind: str, value: str) -> Iterable[str]:
    if kind == "grpc":
        yield f"grpc:{_grpc(value)}"
    elif kind == "errno":
        yield from filter(None, (_errno(value),))
    elif kind == "any":
        if value.isdigit() and len(value) == 3 and value[0] in "45":
            yield f"http:{value}"
        elif (
            len(value) == 5
            and value.isalnum()
            and value.upper() == value
            and value[0] in "0123456789HPX"
        ):
            yield f"sqlstate:{value}"
        else:
            yield from filter(None, (_WORDS.get(value),))
    elif kind == "db":
        yield f"sqlstate:{value}" if len(value) == 5 else f"mysql:{value}"
    elif kind == "http":
        if value.isdigit() and int(value) >= 400:
            yield f"http:{value}"
    elif kind == "exit":
        if value != "0":
            yield from _exit(value)
    else:
        yield f"{kind}:{value}"


def _code(found: str) -> str | None:
    """The code that a piece of a message means."""
    low, last = found.lower(), _last_number(found)
    for reader in (_of_store, _of_process, _of_answer):
        code = reader(found, low, last)
        if code:
            return code
    return _WORDS.get(found.rpartition(".")[2]) or _grpc_word(found)


def _of_store(found: str, low: str, last: str) -> str | None:
    """A code of the system's calls or of a database."""
    if low.startswith(("errno", "(os error")):
        return _errno(last)
    if low.startswith("sqlstate[hy000]") and len(last) == 4:
        return f"mysql:{last}"
    if "sqlstate" in low or found[6:8] == " (":  # as Snowflake writes it: 002003 (42S02)
        return f"sqlstate:{found.rstrip(')')[-5:].upper()}"
    if found.startswith("ORA-"):
        return f"ora:{found[4:]}"
    at = 6 if found.startswith("ERROR ") else 1 if found.startswith("(") else 0
    return f"mysql:{found[at : at + 4]}" if at else None


def _of_process(found: str, low: str, last: str) -> str | None:
    """An exit code or a signal."""
    if low.startswith("status=") and "/" in low:  # as systemd names it
        name = f"SIG{found.partition('/')[2]}"
        return f"signal:{name}" if name in _SIGNALS else None
    if low.startswith(("signal", "killed")):
        named = {"killed": "signal:SIGKILL", "terminated": "signal:SIGTERM"}
        return _signal(last) if last else named.get(low.removeprefix("signal: "))
    if (
        low.startswith(("***", "npm", "exit", "failed", "non", "return code", "rc", "returncode"))
        and last != "0"
    ):
        return next(iter(_exit(last))) if last else None
    return None


def _of_answer(found: str, low: str, last: str) -> str | None:
    """A status of HTTP, gRPC or mail (RFC 3463: class and subject)."""
    if found[0] in "45" and found.count(".") == 2 and found[-1].isdigit():
        return f"mail:{found.rpartition('.')[0][-3:]}"
    if found[0] in "45" and found[:3].isdigit():
        return f"http:{found[:3]}"
    if len(last) == 3 and low.startswith(
        ("http", "status", "resp", "returned", "error", "exception", "code", "does not")
    ):
        return f"http:{last}" if last[0] in "45" else None
    return _grpc_camel(found) if low.startswith(("code", "statuscode=")) else None


def _is_sqlstate(value: str) -> bool:
    return (
        len(value) == 5
        and value.isalnum()
        and value.isupper() | value.isdigit()
        and (value[0].isdigit() or value[0] in "HPX")
    )


def _grpc_word(found: str) -> str | None:
    """The status of `StatusCode.ABORTED`: alone it is a word like any other."""
    name = found.removeprefix("StatusCode.")
    return f"grpc:{name}" if name in GRPC else None


def _last_number(text: str) -> str:
    digits = text.rstrip(")\"' ")
    at = len(digits)
    while at and digits[at - 1].isdigit():
        at -= 1
    minus = at > 0 and digits[at - 1] == "-"
    return digits[at - minus :] if at < len(digits) else ""


def _errno(value: str) -> str | None:
    bare = value.lstrip("-")
    if bare.isdigit():
        if value.startswith("-") and bare in ("2", "3", "5"):  # getaddrinfo's own numbers
            return {"2": "errno:EAI_NONAME", "3": "errno:EAI_AGAIN", "5": "errno:EAI_NODATA"}[bare]
        name = errno.errorcode.get(int(bare[:6]))
        return f"errno:{name}" if name else None
    return f"errno:{value}" if value in _ERRNOS else None


def _exit(value: str) -> Iterable[str]:
    if value.startswith("-") and value[1:].isdigit():  # Python's way of a signal
        yield _signal(value[1:]) or f"exit:{value}"
    else:
        yield f"exit:{value}"


def _signal(value: str) -> str | None:
    try:
        return f"signal:{signal.Signals(int(value)).name}"
    except ValueError:
        return None


def _grpc(value: str) -> str:
    if value.isdigit() and int(value) < len(GRPC):
        return GRPC[int(value)]
    return value.rpartition(".")[2].upper()


def _grpc_camel(found: str) -> str | None:
    """The status of `code = DeadlineExceeded desc`."""
    name = found.partition("=")[2].removesuffix("desc").strip(' "')
    snake = "".join(f"_{c}" if c.isupper() else c for c in name).lstrip("_").upper()
    return f"grpc:{snake}" if snake in GRPC else None
