"""A suggestion with the record's own values: which peer, which path, which name."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from projections.errors.classify.verdict import Verdict
from projections.errors.normal.scan import Scan
from projections.errors.record import Record

TEXT_LIMIT_CHARS: Final = 2_000
VALUE_LIMIT_CHARS: Final = 120
GENERIC: Final[Mapping[str, str]] = {
    "peer": "the peer", "path": "the path", "name": "what it names", "limit": "the limit",
    "component": "it", "code": "the code", "module": "the module", "command": "the command",
}  # fmt: skip
"""What is said where the record holds no such value."""
_ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "peer": (
        "server.address",
        "net.peer.name",
        "url.full",
        "http.url",
        "peer.service",
        "http.host",
    ),
    "path": ("file.path", "code.filepath", "path"),
    "name": ("db.collection.name", "db.name", "messaging.destination.name", "gen_ai.request.model"),
    "limit": ("timeout", "timeout_s", "deadline"),
    "component": ("service.name", "task.component", "component"),
    "module": (),
    "command": ("process.command", "process.executable.name"),
    "code": ("http.response.status_code", "db.response.status_code", "error.code"),
}
_VALUES: Final[Mapping[str, Scan]] = {
    "peer": Scan(
        r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>`)\],]+", r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b",
        r"\bhost=['\"]?[\w.-]+", r"\b(?:[a-z0-9-]+\.)+[a-z]{2,}(?::\d+)?\b",
        r"\blocalhost(?::\d+)?\b", r"\b[a-z][a-z0-9-]*:\d{3,5}\b",
        r"\B:\d{2,5}\b", r"\bport:? ?\d{2,5}\b",
    ),
    "path": Scan(
        r"['\"](?:~?/|\./|[A-Za-z]:\\)[^'\"\n]+['\"]", r"\B~?/[\w.@%+~=-]+(?:/[\w.@%+~=-]*)*",
        r"\b[A-Za-z]:\\[^\s'\"]+", r"\b[\w.-]+/[\w./-]+\.\w{1,5}\b",
        r"['\"][\w.-]+\.\w{1,5}['\"]",
        r"\b[\w-]+\.(?:py|js|ts|json|csv|txt|log|toml|ya?ml|xml|db|tf|go|rs)\b",
    ),
    "name": Scan(
        r"\"(?:[^\"\\\n]|\\.)+\"", r"\B'(?:[^'\\\n]|\\.|'\b)+'\B", r"`[^`\n]+`", r"\[[\w.:-]+\]",
    ),
    "limit": Scan(r"\b\d+(?:[.,]\d+)? ?(?:ms|s|secs?|seconds?|min|minutes?|milliseconds?|hours?)\b",
                  r"\btimeout=\d+", r"\b\d+ (?:tokens|bytes|connections|[KMG]i?B)\b"),
    "module": Scan(r"\bnamed ['\"]?[\w.-]+['\"]?",
                   r"['\"`][@\w./:-]+['\"`]", r"\b[\w]+(?:\.[\w]+){1,}\b"),
    "command": Scan(r"\b[\w.-]+: (?:command )?not found",
                    r"['\"`][^'\"`\n]+['\"`]", r"\[[^\]\n]+\]"),
    "code": Scan(r"\b(?:[A-Z][A-Z0-9_]{3,}|[1-5]\d\d|\d{4,5})\b"),
}  # fmt: skip
_HERE: Final = ("peer", "path", "name", "limit", "code")
_NO_PEERS: Final = (
    ".py",
    ".js",
    ".go",
    ".rs",
    ".java",
    ".rb",
    ".php",
    ".ts",
    ".json",
    ".txt",
    ".so",
)


def suggestion_of(verdict: Verdict, record: Record) -> str:
    """A step that a person can take, with a value of the record where there is one."""
    used: list[str] = []
    found = _Values(record)

    def fill(name: str) -> str:
        value = found.value(name)
        if value:
            used.append(value)
        return value or GENERIC.get(name, name)

    told = _filled(verdict.suggestion, fill)
    if not used:
        here = next((value for name in _HERE if (value := found.value(name))), "")
        if here and here not in told:
            told = f"{told.rstrip('.')} (here: {here})."
    return told


def _filled(template: str, fill: Callable[[str], str]) -> str:
    pieces = template.split("{")
    told = [pieces[0]]
    for piece in pieces[1:]:
        name, brace, rest = piece.partition("}")
        told.append(fill(name) + rest if brace else "{" + piece)
    return "".join(told)


class _Values:
    """The values of a record, looked for when they are asked for."""

    def __init__(self, record: Record) -> None:
        self._attributes: Mapping[str, Any] = record.attributes
        self._data = record.message[:TEXT_LIMIT_CHARS].encode("utf-8", "replace")

    def value(self, name: str) -> str:
        """The value of this kind; empty if there is none."""
        for key in _ATTRIBUTES.get(name, ()):
            value = self._attributes.get(key)
            if value not in (None, "") and not isinstance(value, dict | list):
                return str(value)[:VALUE_LIMIT_CHARS]
        scan = _VALUES.get(name)
        if scan is None:
            return ""
        for start, stop in scan.spans(self._data):
            text = self._data[start:stop].decode("utf-8", "replace")
            if name != "peer" or not text.endswith(_NO_PEERS):
                return _tidy(text)
        return ""


def _tidy(text: str) -> str:
    for mark in ("named ", "host="):
        text = text.removeprefix(mark)
    text = text.removesuffix(": not found").removesuffix(": command not found")
    return text.strip("'\"`[]").rstrip(".:")[:VALUE_LIMIT_CHARS]
