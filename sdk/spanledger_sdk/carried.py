"""What a message carries, so that the next attempt of a run can be made anywhere.

A small value: who runs what, which try is next, and the span of the one before. As a dictionary
of plain values it goes into JSON, as one header into the headers of a message.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from spanledger_sdk.guard import complain
from spanledger_sdk.ids import trace_id_of
from spanledger_sdk.names import ATTEMPT_HEADER

HEADER_LIMIT_CHARS: Final = 8_000
NUMBER_LIMIT: Final = (1 << 20) - 2
_SPAN_ID: Final = re.compile("[0-9a-f]{16}")
_NUMBERS: Final = ("attempt", "max_attempts", "queued_at_ns")


@dataclass(frozen=True, slots=True)
class AttemptContext:
    """An attempt that is to be made."""

    task_id: str
    run_id: str
    attempt: int = 1
    """Its number, from 1."""
    tenant: str | None = None
    """None: the one of the settings where the attempt is made."""
    previous_span_id: str | None = None
    """Of the attempt before: 16 hex digits."""
    name: str | None = None
    group_id: str | None = None
    queue: str | None = None
    queued_at_ns: int | None = None
    max_attempts: int | None = None

    def trace_id(self, default_tenant: str) -> int:
        """The trace id of the run."""
        return trace_id_of(self.tenant or default_tenant, self.task_id, self.run_id)

    def changed(self, **changes: Any) -> "AttemptContext":
        """This context with some fields replaced."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, str | int]:
        """Only texts and whole numbers; what is not known is left out."""
        pairs = ((name, getattr(self, name)) for name in self.__dataclass_fields__)
        return {name: value for name, value in pairs if value is not None}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "AttemptContext":
        """What `to_dict` gave; unknown keys are passed over, for they are of a later release.

        Raises:
            ValueError: there is no task or run, or a value is of the wrong kind.
        """
        found = {key: given[key] for key in cls.__dataclass_fields__ if given.get(key) is not None}
        for key, value in found.items():
            found[key] = _number(key, value) if key in _NUMBERS else _text(key, value)
        if "task_id" not in found or "run_id" not in found:
            raise ValueError("an attempt's context has a task_id and a run_id")
        if not 1 <= found.get("attempt", 1) <= NUMBER_LIMIT:
            raise ValueError(f"attempt must be from 1 to {NUMBER_LIMIT}: {found['attempt']}")
        if "previous_span_id" in found:
            _check_span_id(found["previous_span_id"])
        return cls(**found)

    def to_headers(self) -> dict[str, str]:
        """One header of plain ASCII: `spanledger-attempt`."""
        return {ATTEMPT_HEADER: urlencode(self.to_dict(), errors="surrogatepass")}

    @classmethod
    def from_headers(cls, headers: Mapping[Any, Any]) -> "AttemptContext | None":
        """The context among the headers of a message: names in any case, texts or bytes.

        None if there is none. One that cannot be read is said, and is None, too: a message of
        somebody else's must not end a worker.
        """
        for name, value in headers.items():
            if _plain(name).lower() == ATTEMPT_HEADER:
                try:
                    return cls._parse(_plain(value))
                except ValueError as exc:
                    complain(f"a message's header {ATTEMPT_HEADER} cannot be read", exc)
        return None

    @classmethod
    def _parse(cls, text: str) -> "AttemptContext":
        if len(text) > HEADER_LIMIT_CHARS:
            raise ValueError(f"it has over {HEADER_LIMIT_CHARS} characters")
        pairs = parse_qsl(text, strict_parsing=True, keep_blank_values=True, errors="surrogatepass")
        return cls.from_dict(dict(pairs))


def _plain(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _number(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{key} must be a whole number: {value!r}")
    return int(value)


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} must be a text: {value!r}")
    return value


def _check_span_id(text: str) -> None:
    if not _SPAN_ID.fullmatch(text) or not int(text, 16):
        raise ValueError(f"previous_span_id must be 16 hex digits, not all 0: {text!r}")
