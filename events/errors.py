"""Every error the product raises on purpose.

SpanledgerError
├── Rejected                 the same input fails again
│   ├── BadInput             a value breaks a documented bound
│   ├── TooLarge             more bytes than a limit allows
│   ├── BadSetting           a setting is unknown or wrong
│   └── NotFound             nothing of that name is known
├── Unavailable              try again later (`retry_after_s`)
│   ├── QueueFull            the append queue is at its bound
│   ├── Closing              the process is draining
│   ├── NoLog                nothing was stored in this folder yet
│   └── CommitFailed         the disk refused the commit; nothing was stored
└── Damaged                  a file is not what it was; `verify` shows where
    ├── LogDamaged           the log is torn, altered, shortened or exchanged
    └── ViewsDamaged         the views do not belong to this log
"""


class SpanledgerError(Exception):
    """Root of the tree. The message says what was wrong and what to do."""


class Rejected(SpanledgerError):
    """The same input will always fail."""


class BadInput(Rejected):
    """A value breaks a documented bound."""


class TooLarge(Rejected):
    """More bytes than a limit allows."""

    def __init__(self, message: str, *, limit_bytes: int) -> None:
        super().__init__(message)
        self.limit_bytes = limit_bytes


class BadSetting(Rejected):
    """A setting is unknown or its value is wrong; the message names it."""


class NotFound(Rejected):
    """Nothing of that name is known, for this tenant where it has one."""


class Unavailable(SpanledgerError):
    """Nothing was stored; the same request may succeed after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QueueFull(Unavailable):
    """The bounded append queue has no room."""


class Closing(Unavailable):
    """The process is draining and takes nothing new."""


class NoLog(Unavailable):
    """There is no log in this folder yet."""


class CommitFailed(Unavailable):
    """The disk refused the commit (full, read-only, I/O error); nothing was stored."""


class Damaged(SpanledgerError):
    """A file is not what it was."""


class LogDamaged(Damaged):
    """The log is torn, altered, shortened or exchanged."""

    def __init__(self, message: str, *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class ViewsDamaged(Damaged):
    """A checkpoint or cursor does not belong to this log."""
