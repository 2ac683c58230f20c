"""The control socket: answers, errors and progress, as the other side sees them."""

import contextlib
import os
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from events.errors import (
    BadInput,
    Damaged,
    LogDamaged,
    NotFound,
    Rejected,
    SpanledgerError,
    Unavailable,
)
from service.control.socket import (
    ControlServer,
    NoAnswer,
    call,
    instances,
    make_socket_folder,
    socket_path,
)

LEFT = threading.Event()


def counting(to: int) -> Iterator[int]:
    """Progress, and an answer at the end."""
    yield from range(to)
    return "counted"


def endless() -> Iterator[str]:
    """Progress until the client hangs up."""
    try:
        while True:
            yield "x" * 65536
    finally:
        LEFT.set()


def failing(kind: str) -> None:
    """Fails in one of the ways there are."""
    raise {
        "rejected": BadInput("no"), "not_found": NotFound("no"), "unavailable": Unavailable("no"),
        "damaged": LogDamaged("no"), "bug": KeyError("no"), "disk": OSError("no"),
    }[kind]  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    handlers = {"echo": lambda **args: args, "count": counting, "fail": failing, "endless": endless}
    server = ControlServer(socket_path(tmp_path, "role"), handlers)
    server.start()
    yield tmp_path
    server.close()
    server.close()


def test_answer(data: Path) -> None:
    """A handler gets the arguments, the caller what it returns."""
    assert call(data, "role", "echo", a=1, b=["x"], c=None) == {"a": 1, "b": ["x"], "c": None}


def test_progress(data: Path) -> None:
    """What a generator yields is told on the way; what it returns is the answer."""
    heard: list[Any] = []
    assert call(data, "role", "count", on_progress=heard.append, to=3) == "counted"
    assert heard == [0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("rejected", Rejected), ("not_found", NotFound), ("unavailable", Unavailable),
        ("damaged", Damaged), ("bug", SpanledgerError), ("disk", SpanledgerError),
    ],
)  # fmt: skip
def test_errors(kind: str, error: type[Exception], data: Path) -> None:
    """An error arrives as its kind, a bug as a failure."""
    with pytest.raises(error, match="no"):
        call(data, "role", "fail", kind=kind)


def test_unknown_operations_and_arguments(data: Path) -> None:
    """What a role does not know is refused, with what it does know."""
    with pytest.raises(Rejected, match=r"known: count, echo"):
        call(data, "role", "nothing")
    with pytest.raises(Rejected, match="count"):
        call(data, "role", "count", till=3)


def test_no_such_role(data: Path) -> None:
    """A role that does not run is unavailable."""
    with pytest.raises(Unavailable, match="does not run"):
        call(data, "other", "echo")


def test_a_role_that_hangs(tmp_path: Path) -> None:
    """Nobody accepts: the caller gives up in time and names the process; as many as wait, too."""
    path = socket_path(tmp_path, "role")
    make_socket_folder(path)
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(0)
        process = rf"\(process {os.getpid()}\) " if sys.platform == "linux" else ""
        with pytest.raises(NoAnswer, match=rf"the role of .* {process}did not answer within 0.1 s"):
            call(tmp_path, "role", "echo", timeout_s=0.1)
        for _ in range(2):
            peer = held.enter_context(socket.socket(socket.AF_UNIX))
            peer.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                peer.connect(str(path))
        with pytest.raises(NoAnswer, match=r"the role of .* did not answer"):
            call(tmp_path, "role", "echo", timeout_s=0.1)


def test_a_generator_ends_with_its_client(data: Path) -> None:
    """When the client hangs up, the handler is closed."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(socket_path(data, "role")))
        peer.sendall(b'{"op": "endless"}\n')
        peer.recv(10)
    assert LEFT.wait(5)


def test_sockets_are_private(data: Path) -> None:
    """Only the owner may talk to a role."""
    path = socket_path(data, "role")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert instances(data, "ro") == ["role"]


@pytest.mark.parametrize("length", range(50, 110))
def test_all_names_listen_in_one_folder(length: int) -> None:
    """However long the data folder's name is: who looks for several looks in one place."""
    data = Path("/" + "d" * (length - 1))
    names = "api", "door", "role", "receiver-1", "receiver-12", "projector", "apart-error_patterns"
    paths = [socket_path(data, name) for name in names]
    assert len({path.parent for path in paths}) == 1
    assert all(len(str(path)) <= 104 for path in paths)


def test_long_folder_names(tmp_path: Path) -> None:
    """Where the path of a socket would be too long, another folder stands in."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    path = socket_path(deep, "role")
    assert len(str(path)) <= 100
    server = ControlServer(path, {"echo": lambda: "here"})
    server.start()
    try:
        assert call(deep, "role", "echo") == "here"
    finally:
        server.close()
        path.parent.rmdir()
