"""Log records of every process on standard error: lines for people, or JSON lines.

Each record has its role and pid. What stands in `extra` follows the message.
"""

import logging
import os
import sys
from typing import Any, Final

import msgspec

from events.times import SECOND_NS, rfc3339

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET: Final = (
    "httpx",
    "httpcore",
    "uvicorn.error",
    "uvicorn.access",
    "grpc._cython",
    "asyncio",
    "mcp",
)


class TextLines(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO receiver[42] message key=value …`"""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._who = f"{role}[{os.getpid()}]"

    def format(self, record: logging.LogRecord) -> str:
        extras = "".join(f" {key}={_plain(value)}" for key, value in _extras(record).items())
        line = f"{_time(record)} {record.levelname} {self._who} {record.getMessage()}{extras}"
        return f"{line}\n{trace}" if (trace := _trace(self, record)) else line


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "role": self._role,
            "pid": os.getpid(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if trace := _trace(self, record):
            fields["exception"] = trace
        return msgspec.json.encode(fields, enc_hook=str).decode()


def start_logging(role: str, level: str, form: str) -> None:
    """Send the records of this process to standard error, from `level` on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(role) if form == "json" else TextLines(role))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level.upper())
    logging.captureWarnings(True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _time(record: logging.LogRecord) -> str:
    seconds = rfc3339(int(record.created) * SECOND_NS)
    assert seconds is not None  # clocks stay within the calendar
    return f"{seconds[:-1]}.{record.msecs:03.0f}Z"


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _plain(value: Any) -> str:
    text = str(value)
    return repr(text) if not text or any(c.isspace() or c == "=" for c in text) else text


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""
