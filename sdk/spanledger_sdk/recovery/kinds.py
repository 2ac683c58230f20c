"""What an exception is, where no service says it: its category, and whether it will pass.

By codes first (HTTP status, SQLSTATE, errno, signals), then by class; that of a cause where the
exception itself says nothing. The service's rules know far more, and win where it is asked.
"""

import errno
import http.client
import socket
import ssl
import subprocess
from collections.abc import Iterator
from typing import Any, Final, NamedTuple


class Kind(NamedTuple):
    """Category as in docs/errors.md; `transient` None: nobody can tell."""

    category: str
    transient: bool | None


UNKNOWN: Final = Kind("unknown", None)
_CAUSES: Final = 8
_STATUS: Final = {
    401: Kind("permission", False), 402: Kind("permission", False), 403: Kind("permission", False),
    407: Kind("permission", False), 408: Kind("timeout", True), 425: Kind("network", True),
    429: Kind("network", True), 501: Kind("network", False), 504: Kind("timeout", True),
    505: Kind("network", False),
}  # fmt: skip
_SQLSTATE: Final = {
    "53100": Kind("file_system", False), "55P03": Kind("timeout", True),
    "57014": Kind("timeout", True), "25P03": Kind("timeout", True), "08P01": Kind("network", False),
}  # fmt: skip
_SQL_CLASS: Final = {
    "08": Kind("network", True), "28": Kind("permission", False), "40": Kind("database", True),
    "53": Kind("database", True), "57": Kind("database", True), "58": Kind("database", None),
}  # fmt: skip
_ERRNO: Final = {
    **dict.fromkeys(
        (errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ENETDOWN,
         errno.ENETUNREACH, errno.ENETRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN,
         errno.EADDRINUSE), Kind("network", True),
    ),
    **dict.fromkeys((errno.ETIMEDOUT,), Kind("timeout", True)),
    **dict.fromkeys((errno.EACCES, errno.EPERM), Kind("permission", False)),
    **dict.fromkeys((errno.EAGAIN, errno.EBUSY, errno.EMFILE, errno.ENFILE, errno.ESTALE,
                     errno.EINTR), Kind("file_system", True)),
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR,
         errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.EFBIG, errno.EXDEV),
        Kind("file_system", False),
    ),
    errno.ENOMEM: Kind("execution", True),
}  # fmt: skip
_CRASHES: Final = frozenset((4, 5, 6, 7, 8, 11, 24, 25, 31))
"""SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS: its own doing."""
_CONNECTION: Final = (
    "connection refused", "connection reset", "server closed the connection", "broken pipe",
    "terminating connection", "connection timed out", "is starting up", "is shutting down",
    "could not connect", "connection to server", "lost connection", "gone away",
)  # fmt: skip
_BY_CLASS: Final[tuple[tuple[type[BaseException], Kind], ...]] = (
    (ssl.SSLCertVerificationError, Kind("network", False)),
    (TimeoutError, Kind("timeout", True)),
    (subprocess.TimeoutExpired, Kind("timeout", True)),
    (socket.gaierror, Kind("network", True)),
    (ssl.SSLError, Kind("network", True)),
    ((ConnectionError, http.client.IncompleteRead), Kind("network", True)),
    (PermissionError, Kind("permission", False)),
    (MemoryError, Kind("execution", None)),
    (ImportError, Kind("execution", False)),
    (RecursionError, Kind("execution", False)),
    (NotImplementedError, Kind("execution", False)),
    (ValueError, Kind("validation", False)),
    (
        (LookupError, AttributeError, TypeError, NameError, ArithmeticError, AssertionError),
        Kind("execution", False),
    ),
)  # type: ignore[assignment]  # isinstance takes tuples


def kind_of(error: BaseException) -> Kind:
    """What an exception is; that of what caused it, if it says nothing itself."""
    for one in _chain(error):
        found = _by_codes(one) or _by_class(one)
        if found is not None:
            return found
    return UNKNOWN


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(_CAUSES):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def _by_codes(error: BaseException) -> Kind | None:
    status = status_of(error)
    if status is not None and status >= 400:
        kind = Kind("network", True) if status >= 500 else Kind("validation", False)
        return _STATUS.get(status, kind)
    state = _attribute(error, "sqlstate", "pgcode")
    if isinstance(state, str) and len(state) == 5:
        return _SQLSTATE.get(state) or _SQL_CLASS.get(state[:2]) or Kind("database", False)
    if isinstance(error, subprocess.CalledProcessError):
        return _of_exit(error.returncode)
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror | ssl.SSLError):
        return _ERRNO.get(error.errno or 0)
    return None


def _of_exit(code: int) -> Kind:
    """One that was killed may end well the next time, one that crashed will not; 75 is EX_TEMPFAIL,
    124 of `timeout`."""
    if code == 124:
        return Kind("timeout", True)
    was_killed = code < 0 and -code not in _CRASHES
    return Kind("execution", was_killed or code in (75, 137, 143))


def _by_class(error: BaseException) -> Kind | None:
    for kinds, found in _BY_CLASS:
        if isinstance(error, kinds):
            return found
    name = type(error).__name__
    if "Timeout" in name:
        return Kind("timeout", True)
    if name in ("OperationalError", "InterfaceError", "DatabaseError"):
        return _of_database(str(error).lower())
    if name in ("IntegrityError", "ProgrammingError", "DataError", "NotSupportedError"):
        return Kind("database", False)
    if name.endswith(("ConnectionError", "ConnectError", "ReadError", "ProtocolError")):
        return Kind("network", True)
    return None


def _of_database(said: str) -> Kind | None:
    if any(words in said for words in _CONNECTION):
        return Kind("network", True)
    if "authentication failed" in said or "access denied" in said:
        return Kind("permission", False)
    if "locked" in said or "deadlock" in said:
        return Kind("database", True)
    return Kind("database", None)


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an exception of a client carries."""
    for holder in (error, getattr(error, "response", None)):
        status = _attribute(holder, "status_code", "status", "code")
        if type(status) is int and 100 <= status < 600:
            return status
    return None


def retry_after_of(error: BaseException) -> Any:
    """The `Retry-After` that an exception of a client carries; None without one."""
    for one in _chain(error):
        for holder in (one, getattr(one, "response", None)):
            headers = getattr(holder, "headers", None)
            get = getattr(headers, "get", None)
            found = (get("retry-after") or get("Retry-After")) if callable(get) else None
            if found is not None:
                return found
    return None


def _attribute(holder: Any, *names: str) -> Any:
    for name in names:
        try:
            found = getattr(holder, name, None)
        except Exception:  # a property of a foreign class
            continue
        if found is not None and not callable(found):
            return found
    return None
