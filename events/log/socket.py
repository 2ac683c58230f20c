"""The append door across processes: a Unix socket with length-prefixed msgpack frames.

The server greets with (log id, identity key). A request is (number, batch), an answer is
(number, appended) or (number, error); requests are pipelined, answers come as commits do.
"""

import contextlib
import itertools
import logging
import os
import socket
import struct
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

import msgspec

from events import errors
from events.errors import SpanledgerError, Unavailable
from events.log.port import Appended, Batch, Door
from events.private import make_private

FRAME_LIMIT_BYTES: Final = 256 << 20
_SEND_TIMEOUT: Final = struct.pack("ll", 10, 0)
_length = struct.Struct(">I")
_encode = msgspec.msgpack.Encoder().encode
_log = logging.getLogger(__name__)


class _Hello(msgspec.Struct, array_like=True):
    log_id: str
    identity_key: bytes


class _Request(msgspec.Struct, array_like=True):
    number: int
    batch: Batch


class _Answer(msgspec.Struct, array_like=True):
    number: int
    appended: Appended | None = None
    error: str = ""
    message: str = ""
    retry_after_s: float = 1.0


def _send(peer: socket.socket, message: Any) -> None:
    body = _encode(message)
    peer.sendall(_length.pack(len(body)) + body)


def _receive(peer: socket.socket) -> bytes | None:
    """One frame; None at the end of the stream."""
    head = _exactly(peer, _length.size)
    if head is None:
        return None
    (size,) = _length.unpack(head)
    if size > FRAME_LIMIT_BYTES:
        raise ConnectionError(f"a frame of {size} bytes")
    return _exactly(peer, size)


def _exactly(peer: socket.socket, size: int) -> bytes | None:
    buffer = bytearray(size)
    view = memoryview(buffer)
    while view:
        count = peer.recv_into(view)
        if count == 0:
            return None
        view = view[count:]
    return bytes(buffer)


class DoorServer:
    """Serves a door at `path` (mode 0600) until closed; one thread a connection."""

    def __init__(self, path: Path, door: Door) -> None:
        self._door = door
        self._path = path
        make_private(path.parent)
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            self._listener.bind(str(path))
        finally:
            os.umask(mask)
        self._listener.listen(64)
        self._peers: set[socket.socket] = set()
        threading.Thread(target=self._accept, name="door-accept", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._peers.add(peer)
            threading.Thread(target=self._serve, args=(peer,), name="door", daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        sending = threading.Lock()
        decode = msgspec.msgpack.Decoder(_Request).decode
        try:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_TIMEOUT)
            _send(peer, _Hello(self._door.log_id, self._door.identity_key))
            while (frame := _receive(peer)) is not None:
                request = decode(frame)
                try:
                    future = self._door.append_async(request.batch)
                except SpanledgerError as exc:
                    self._answer(peer, sending, request.number, error=exc)
                    continue
                future.add_done_callback(
                    lambda done, number=request.number: self._answer(  # type: ignore[misc]
                        peer, sending, number, done=done
                    )
                )
        except (OSError, msgspec.MsgspecError) as exc:
            _log.warning("door connection lost", extra={"action": "door", "error": str(exc)})
        finally:
            self._peers.discard(peer)
            peer.close()

    @staticmethod
    def _answer(
        peer: socket.socket,
        sending: threading.Lock,
        number: int,
        *,
        done: "Future[Appended] | None" = None,
        error: BaseException | None = None,
    ) -> None:
        error = done.exception() if done is not None else error
        if error is None and done is not None:
            answer = _Answer(number, done.result())
        else:
            wait_s = getattr(error, "retry_after_s", 1.0)
            answer = _Answer(number, None, type(error).__name__, str(error), wait_s)
        with sending, contextlib.suppress(OSError):  # the client is gone: it will send again
            _send(peer, answer)

    def close(self) -> None:
        """Stop listening and hang up; may be called twice."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in list(self._peers):
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        self._path.unlink(missing_ok=True)


class DoorClient:
    """`Door` through the writer's socket. Connects on first use and again after a loss.

    Raises:
        Unavailable: the writer does not run.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._pending: dict[int, Future[Appended]] = {}
        self._peer: socket.socket | None = None
        self._closed = False
        with self._lock:
            hello = self._connect()
        self.log_id, self.identity_key = hello.log_id, hello.identity_key

    def _connect(self) -> _Hello:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.connect(str(self._path))
            frame = _receive(peer)
            if frame is None:
                raise ConnectionError("the writer hung up")
            hello = msgspec.msgpack.decode(frame, type=_Hello)
        except (OSError, msgspec.MsgspecError) as exc:
            peer.close()
            raise Unavailable(f"the log's writer cannot be reached: {exc}") from exc
        self._peer, self._pending = peer, {}  # each connection's own: one may end late
        listening = (peer, self._pending)
        threading.Thread(
            target=self._listen, args=listening, name="door-client", daemon=True
        ).start()
        return hello

    def append(self, batch: Batch, *, timeout_s: float = 30.0) -> Appended:
        """See `Door.append`."""
        try:
            return self.append_async(batch).result(timeout_s)
        except TimeoutError as exc:
            raise Unavailable(f"no commit within {timeout_s:g} s; send it again") from exc

    def append_async(self, batch: Batch) -> "Future[Appended]":
        """See `Door.append_async`; a full queue is told through the future."""
        future: Future[Appended] = Future()
        with self._lock:
            if self._peer is None:
                hello = self._connect()
                if hello.identity_key != self.identity_key:
                    raise Unavailable("the writer has another log now; restart this receiver")
            number = next(self._numbers)
            self._pending[number] = future
            try:
                assert self._peer is not None
                _send(self._peer, _Request(number, batch))
            except OSError as exc:
                peer, self._peer = self._peer, None
                self._pending.pop(number, None)
                _hang_up(peer)
                raise Unavailable(f"the log's writer went away: {exc}") from exc
        return future

    def _listen(self, peer: socket.socket, pending: dict[int, Future[Appended]]) -> None:
        decode = msgspec.msgpack.Decoder(_Answer).decode
        try:
            while (frame := _receive(peer)) is not None:
                answer = decode(frame)
                future = pending.pop(answer.number, None)
                if future is None:
                    continue
                if answer.appended is not None:
                    future.set_result(answer.appended)
                else:
                    future.set_exception(_error(answer))
        except (OSError, msgspec.MsgspecError):
            pass  # told to every waiting caller below
        with self._lock:
            if self._peer is peer:
                self._peer = None  # nothing is added to `pending` from here on
        peer.close()
        for future in pending.values():
            future.set_exception(Unavailable("the log's writer went away; send it again"))

    def close(self) -> None:
        """Hang up; may be called twice."""
        with self._lock:
            peer, self._peer = self._peer, None
        _hang_up(peer)


def _hang_up(peer: socket.socket | None) -> None:
    if peer is not None:
        with contextlib.suppress(OSError):
            peer.shutdown(socket.SHUT_RDWR)


def _error(answer: _Answer) -> SpanledgerError:
    kind = getattr(errors, answer.error, Unavailable)
    if issubclass(kind, Unavailable):
        failure: SpanledgerError = kind(answer.message, retry_after_s=answer.retry_after_s)
    elif issubclass(kind, errors.BadInput):
        failure = kind(answer.message)
    else:
        failure = Unavailable(f"{answer.error}: {answer.message}")
    return failure
