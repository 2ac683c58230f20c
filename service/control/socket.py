"""The control socket of a role: how the CLI, the API and the supervisor ask it to do something.

A connection sends one JSON line `{"op": …, "args": {…}}` and gets JSON lines: any number of
`{"progress": …}`, then `{"ok": …}` or `{"error": {"kind": …, "message": …}}`. A handler that is
a generator function tells progress by `yield`; what it returns is the answer. It is closed when
its client hangs up, so work that must go on belongs into a thread of the role.
"""

import contextlib
import hashlib
import inspect
import logging
import os
import socket
import stat
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from events.errors import Damaged, NotFound, Rejected, SpanledgerError, Unavailable
from events.private import make_private

_PATH_LIMIT_BYTES: Final = 100  # sun_path holds 104 (macOS) or 108 bytes
_LONGEST_NAME: Final = "apart-a_group_with_a_long_name"
_REQUEST_LIMIT_BYTES: Final = 1 << 20
_REQUEST_TIMEOUT_S: Final = 10.0
_PAUSE_S: Final = 0.02
_KINDS: Final[tuple[tuple[str, type[SpanledgerError]], ...]] = (
    ("not_found", NotFound),
    ("rejected", Rejected),
    ("unavailable", Unavailable),
    ("damaged", Damaged),
    ("failed", SpanledgerError),
)
_encode = msgspec.json.Encoder(decimal_format="number").encode
_log = logging.getLogger(__name__)


class NoAnswer(Unavailable):
    """The role runs, and does not answer in time; `pid` is its process if the system tells."""

    def __init__(self, data: Path, role: str, timeout_s: float, pid: int | None) -> None:
        process = "" if pid is None else f" (process {pid})"
        super().__init__(f"the {role} of {data}{process} did not answer within {timeout_s:g} s")
        self.pid = pid


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    op: str
    args: dict[str, Any] = {}


def socket_path(data: Path, name: str) -> Path:
    """Where `name` listens."""
    return _folder(data) / f"{name}.sock"


def _folder(data: Path) -> Path:
    """Where all names listen: in the data folder, or where a long folder name leaves no room.

    Room for every name, whoever asks: those who look for the others look in one place.
    """
    folder = data.absolute() / "run"
    if len(os.fsencode(folder / f"{_LONGEST_NAME}.sock")) <= _PATH_LIMIT_BYTES:
        return folder
    digest = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"spanledger-{os.getuid()}-{digest}")


def instances(data: Path, role: str = "") -> list[str]:
    """The names under which a role listens or did: one, or one for each of several; or all."""
    return sorted(p.stem for p in _folder(data).glob(f"{role}*.sock"))


def make_socket_folder(path: Path) -> None:
    """Make the folder of a socket, for its owner only.

    Raises:
        Unavailable: the folder belongs to somebody else (one of the shared temporary folder).
    """
    make_private(path.parent)
    status = path.parent.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise Unavailable(f"{path.parent} belongs to another user; use a shorter --data path")


class ControlServer:
    """Answers at `path` (mode 0600) until closed; each connection has a thread of its own."""

    def __init__(self, path: Path, handlers: Mapping[str, Callable[..., Any]]) -> None:
        self._path = path
        self._handlers = handlers
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Listen. A socket left behind is replaced: the caller holds its role's lock."""
        make_socket_folder(self._path)
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._path))
        self._path.chmod(0o600)  # the folder lets nobody else in between
        listener.listen(16)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="control", daemon=True).start()

    def close(self) -> None:
        """Stop listening; may be called twice."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return  # closed
            threading.Thread(
                target=self._serve, args=(peer,), name="control-call", daemon=True
            ).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):  # the client left
            peer.settimeout(_REQUEST_TIMEOUT_S)
            try:
                result = self._answer(peer)
            except SpanledgerError as exc:
                _send(peer, {"error": {"kind": _kind(exc), "message": str(exc)}})
            except OSError as exc:
                if isinstance(exc, BrokenPipeError | ConnectionError | TimeoutError):
                    raise
                _log.exception("control call failed", extra={"action": "control"})
                _send(peer, {"error": {"kind": "failed", "message": str(exc)}})
            except Exception as exc:
                _log.exception("control call failed", extra={"action": "control"})
                _send(peer, {"error": {"kind": "failed", "message": f"{exc!r}"}})
            else:
                _send(peer, {"ok": result})

    def _answer(self, peer: socket.socket) -> Any:
        with peer.makefile("rb") as lines:
            line = lines.readline(_REQUEST_LIMIT_BYTES)
        try:
            request = msgspec.json.decode(line, type=_Request)
        except msgspec.MsgspecError as exc:
            raise Rejected(f"not a control request: {exc}") from exc
        handler = self._handlers.get(request.op)
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            raise Rejected(f"no operation {request.op!r} here; known: {known}")
        try:
            inspect.signature(handler).bind(**request.args)
        except TypeError as exc:
            raise Rejected(f"{request.op}: {exc}") from exc
        answer = handler(**request.args)
        return _exhaust(peer, answer) if inspect.isgenerator(answer) else answer


def _exhaust(peer: socket.socket, steps: Any) -> Any:
    with contextlib.closing(steps):
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                return end.value
            _send(peer, {"progress": progress})


def _send(peer: socket.socket, message: dict[str, Any]) -> None:
    peer.sendall(_encode(message) + b"\n")


def _kind(error: SpanledgerError) -> str:
    return next(kind for kind, base in _KINDS if isinstance(error, base))


def call(
    data: Path,
    role: str,
    op: str,
    *,
    timeout_s: float = 30.0,
    on_progress: Callable[[Any], None] | None = None,
    **args: Any,
) -> Any:
    """What `role` of the service on `data` answers to `op`.

    Args:
        timeout_s: how long to wait for each line of the answer.
        on_progress: hears what a long operation tells on its way.

    Raises:
        NoAnswer: the role runs and did not answer in time.
        Unavailable: the role does not run, or went away.
        NotFound, Rejected, Damaged, SpanledgerError: as the handler raised it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(timeout_s)
        try:
            _connect(peer, socket_path(data, role), timeout_s)
        except BlockingIOError as exc:
            raise NoAnswer(data, role, timeout_s, None) from exc
        except OSError as exc:
            raise Unavailable(f"the {role} of {data} does not run") from exc
        try:
            _send(peer, {"op": op, "args": args})
            with peer.makefile("rb") as lines:
                for line in lines:
                    message = msgspec.json.decode(line)
                    if "progress" not in message:
                        return _result(message)
                    if on_progress is not None:
                        on_progress(message["progress"])
        except TimeoutError as exc:
            raise NoAnswer(data, role, timeout_s, _listener(peer)) from exc
        except OSError as exc:
            raise Unavailable(f"the {role} went away: {exc}") from exc
    raise Unavailable(f"the {role} went away before it answered")


def _connect(peer: socket.socket, path: Path, timeout_s: float) -> None:
    """Connect, also if so many wait for the role already that no more can for the moment."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            peer.connect(str(path))
            return
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                raise
        time.sleep(_PAUSE_S)


def _listener(peer: socket.socket) -> int | None:
    """The process that listens where `peer` called; None where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):  # only Linux has it
        return None
    pid: int
    pid, _, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid


def _result(message: dict[str, Any]) -> Any:
    if "ok" in message:
        return message["ok"]
    error = message.get("error", {})
    raise dict(_KINDS).get(error.get("kind"), SpanledgerError)(error.get("message", "it failed"))
