"""Reading `alerts.toml`: every problem with its line and key, or the rules to go by.

Problems never repeat what may be secret: URLs, headers and keys of receivers.
"""

import base64
import binascii
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfoNotFoundError

import msgspec

from events.times import human_duration, parse_duration
from projections.mapping.rules.problems import BadRules, Problem, near
from service.alerts.maintenance import covers
from service.alerts.notice import LOG
from service.alerts.rule import (
    AlertsFile,
    AnyRule,
    Maintenance,
    Percepts,
    Receiver,
    Rule,
    Span,
    span,
)

_FILE_BYTES: Final = 1 << 20
PAGERDUTY_URL: Final = "https://events.pagerduty.com/v2/enqueue"
SECRET_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 16
_KINDS: Final[dict[str, type[Rule]]] = {
    str(kind.__struct_config__.tag): kind for kind in AnyRule.__args__
}
_TABLES: Final[dict[str, Any]] = {
    "rule": AnyRule, "receiver": Receiver, "maintenance": Maintenance, "percepts": Percepts,
}  # fmt: skip
_DAY: Final = 86400
_BOUNDS: Final = {
    "every": (span(0.1), span(3600)),
    "give_up": (span(1), span(30 * _DAY)),
    "timeout": (span(0.1), span(60)),
    "window": (span(1), span(31 * _DAY)),
    "quiet": (span(60), span(365 * _DAY)),
    "above": (span(0.001), span(365 * _DAY)),
    "repeat_every": (span(0), span(31 * _DAY)),
}
"""Of durations; those that are not named: 0 to 7 days."""
_OTHERS: Final = (span(0), span(7 * _DAY))
_REFERENCES: Final = (
    ("rule", "notify", "receiver"), ("maintenance", "rules", "rule"),
    ("percepts", "notify", "receiver"),
)  # fmt: skip
"""Of which table a key names members of which other."""
T = TypeVar("T")


def load(path: Path) -> AlertsFile:
    """What stands in the file, with the secrets that it names as files.

    Raises:
        BadRules: with every problem.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES + 1)
        if len(content) > _FILE_BYTES:
            raise ValueError(f"it is larger than {_FILE_BYTES >> 20} MiB")
        text = content.decode("utf-8-sig")
        return _Reader(path, text).read(tomllib.loads(text))
    except (OSError, UnicodeDecodeError, ValueError) as exc:
        raise BadRules([Problem(str(path), "", "", f"cannot be read as TOML: {exc}")]) from exc


class _Reader:
    """Reads one file."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._problems: list[Problem] = []

    def read(self, content: Mapping[str, Any]) -> AlertsFile:
        tables = {name: self._table(name, content.get(name, [])) for name in _TABLES}
        rest = {name: value for name, value in content.items() if name not in _TABLES}
        whole = self._record("", 0, AlertsFile, rest, AlertsFile.__struct_fields__)
        receivers = [
            self._with_secrets(number, one) for number, one in enumerate(tables["receiver"])
        ]
        self._check_names(tables)
        if self._problems or whole is None:
            raise BadRules(self._problems)
        given = {name: tuple(found) for name, found in tables.items() if found}
        given |= {"receiver": tuple(receivers)}
        return msgspec.structs.replace(whole, **given)

    def _table(self, name: str, tables: Any) -> list[Any]:
        """The records of `[[name]]`; what cannot be read is None, and a problem."""
        if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
            self._tell(name, 0, "", f"write each as a table [[{name}]]")
            return []
        return [self._one(name, number, table) for number, table in enumerate(tables)]

    def _one(self, name: str, number: int, table: dict[str, Any]) -> Any:
        kind = _TABLES[name]
        if name == "rule":
            when = table.get("when")
            kind = _KINDS.get(when) if isinstance(when, str) else None
            if kind is None:
                self._tell(name, number, "when", f"no such kind of rule{near(str(when), _KINDS)}")
                return None
        known = [field.encode_name for field in msgspec.structs.fields(kind)]
        given = {key: value for key, value in table.items() if name != "rule" or key != "when"}
        record = self._record(name, number, kind, given, known)
        if name == "maintenance" and record is not None:
            try:
                covers(record, 0)
            except (ValueError, ZoneInfoNotFoundError) as exc:
                self._tell(name, number, "zone" if record.zone in str(exc) else "from", str(exc))
        return record

    def _record(
        self, name: str, number: int, kind: type[T], given: Mapping[str, Any], known: Sequence[str]
    ) -> T | None:
        before = len(self._problems)
        for key in given:
            if key not in known:
                self._tell(name, number, key, f"no such key{near(key, known)}")
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}  # type: ignore[arg-type]
        values: dict[str, Any] = {}
        for key, field in fields.items():
            if key not in given:
                if field.required:
                    self._tell(name, number, key, "is missing")
                continue
            try:
                values[field.name] = _value(key, given[key], field.type)
            except (msgspec.ValidationError, ValueError) as exc:
                self._tell(name, number, key, str(exc))
        return kind(**values) if len(self._problems) == before else None

    def _with_secrets(self, number: int, receiver: Receiver | None) -> Receiver | None:
        if receiver is None:
            return None
        try:
            url = self._secret(number, receiver, "url")
            secret = self._secret(number, receiver, "secret")
            if receiver.type == "pagerduty":
                url = url or PAGERDUTY_URL
            _check_url(url)
            _check_headers(receiver.headers)
            if receiver.type in ("webhook", "pagerduty") and not secret:
                what = "it is signed with" if receiver.type == "webhook" else "its routing key"
                raise _Wrong("secret", f"is missing: {what}")
            if receiver.type == "webhook":
                signing_key(secret)
        except _Wrong as exc:
            self._tell("receiver", number, exc.key, exc.message)
            return None
        return msgspec.structs.replace(
            receiver, url=url, secret=secret, url_file="", secret_file=""
        )

    def _secret(self, number: int, receiver: Receiver, key: str) -> str:
        """What stands in the key, or in the file that it names."""
        said, file = getattr(receiver, key), getattr(receiver, f"{key}_file")
        if not file:
            return str(said)
        if said:
            raise _Wrong(key, f"give it or `{key}_file`, not both")
        try:
            text: str = (self._path.parent / file).read_text("utf-8")
            return text.strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise _Wrong(f"{key}_file", f"cannot be read: {exc}") from exc

    def _check_names(self, tables: Mapping[str, Sequence[Any]]) -> None:
        """That names are used once, and that those which are referred to are there."""
        named: dict[str, list[str]] = {}
        for table in ("rule", "receiver", "percepts"):
            named[table] = []
            for number, one in enumerate(tables[table]):
                if one is not None and one.name in named[table]:
                    self._tell(table, number, "name", f"there is another {table} {one.name!r}")
                named[table] += [one.name] if one is not None else []
        for number, one in enumerate(tables["receiver"]):
            if one is not None and one.name == LOG:
                told = f"{LOG!r} is what the log of events is called here; choose another name"
                self._tell("receiver", number, "name", told)
        for table, key, other in _REFERENCES:
            for number, one in enumerate(tables[table]):
                for name in (getattr(one, key, None) or ()) if one is not None else ():
                    if name not in named[other] and None not in tables[other]:
                        self._tell(table, number, key, f"no {other} {name!r}")
        plain = {one.name for one in tables["receiver"] if one and one.type != "webhook"}
        for number, one in enumerate(tables["percepts"]):
            for name in plain.intersection(one.notify if one is not None else ()):
                self._tell("percepts", number, "notify", f"{name!r} is no receiver of type webhook")

    def _tell(self, table: str, number: int, key: str, message: str) -> None:
        where = str(self._path)
        if line := self._line(table, number, key):
            where += f", line {line}"
        if table:
            where += f", {table} {number + 1}"
        self._problems.append(Problem(where, "", key, message))

    def _line(self, table: str, number: int, key: str) -> int:
        """The line of a key, or of its table's head; 0 if it is not written in its own line."""
        at = found = 0
        for place, section in enumerate(self._sections()):
            head, lines = section
            if (not table and place == 0) or (table and head == table):
                if at == number:
                    found = lines.start + 1 if table else 0
                    is_key = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""").match
                    return next((n + 1 for n in lines if key and is_key(self._lines[n])), found)
                at += 1
        return found

    def _sections(self) -> Iterator[tuple[str, range]]:
        start, head = 0, ""
        for number, line in enumerate(self._lines):
            if match := re.match(r"\s*\[\[?\s*([\w.-]+)\s*\]", line):
                yield head, range(start, number)
                start, head = number, match[1]
        yield head, range(start, len(self._lines))


class _Wrong(Exception):
    """A key of a receiver is wrong."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key, self.message = key, message


def signing_key(secret: str) -> bytes:
    """The bytes that a webhook's requests are signed with: of `whsec_…`, else those of the text.

    Raises:
        _Wrong: it is too short, or no base64.
    """
    try:
        key = (
            base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
            if secret.startswith(SECRET_PREFIX)
            else secret.encode()
        )
    except (binascii.Error, ValueError) as exc:
        raise _Wrong("secret", f"what follows {SECRET_PREFIX} is no base64") from exc
    if len(key) < _SECRET_BYTES:
        raise _Wrong("secret", f"has fewer than {_SECRET_BYTES} bytes")
    return key


def _value(key: str, given: Any, kind: Any) -> Any:
    value = msgspec.convert(given, kind, dec_hook=_decode)
    if isinstance(value, Span):
        low, high = _BOUNDS.get(key, _OTHERS)
        if not low <= value <= high:
            raise ValueError(f"from {human_duration(low)} to {human_duration(high)}")
    return value


def _decode(kind: type, value: Any) -> Any:
    if kind is not Span:
        raise TypeError(kind)
    found = parse_duration(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("write a duration such as 90s, 15m or 1h30m")
    return Span(found)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not url.isprintable() or " " in url:
        raise _Wrong("url", "no http:// or https:// URL with a host")
    if "@" in parts.netloc:
        raise _Wrong("url", "credentials do not go into the URL but into `headers`")


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise _Wrong("headers", f"{name[:80]!r} is no name of a header")
        if not value.isascii() or not value.isprintable():
            raise _Wrong("headers", f"the value of {name} has characters that no header can carry")
