"""What tests against peers stand on: ports of their own, and a word of why one failed."""

import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests import ports
from tests.peers.process import Peer, PeerFailed, printed


def test_a_port_is_no_outgoing_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports given are below those of outgoing connections, bindable, and never given twice."""
    lowest = 20_000
    monkeypatch.setattr(ports, "_LOWEST", lowest)
    monkeypatch.setattr(ports, "outgoing_begin", lambda: lowest + 400)
    taken = socket.socket()
    with closing(taken):
        for port in range(lowest, lowest + 400):
            try:
                taken.bind(("127.0.0.1", port))
            except OSError:
                continue
            break
        given = [ports.free_port() for _ in range(20)]
        assert len({*given, taken.getsockname()[1]}) == 21
        assert all(lowest <= port < lowest + 400 for port in given)


def test_outgoing_connections_get_others() -> None:
    """A connection's own port is never one that could be given."""
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as listener,
        closing(socket.create_connection(listener.getsockname())) as connection,
    ):
        assert connection.getsockname()[1] >= ports.outgoing_begin()


def test_a_failed_peer_says_why(tmp_path: Path) -> None:
    """A peer that ends at its start is an error that carries its output; a failed test shows it."""
    script = tmp_path / "peer"
    script.write_text(f"#!{sys.executable}\nprint('no such storage')\n")
    script.chmod(0o700)
    peer = Peer(script, "", tmp_path / "folder", [ports.free_port()])
    with pytest.raises(PeerFailed, match="no such storage"):
        peer.start()
    (shown,) = printed()
    assert shown == (str(peer.output), "no such storage\n")
