"""Ports that nobody listens on, for servers that are given theirs before they bind it.

They lie below the range that the system takes the ports of outgoing connections from: one of that
range, free a moment ago, may belong to any connection of this machine by the time it is bound.
Tests in parallel share them out.
"""

import os
import random
import socket
from pathlib import Path
from typing import Final

_RANGE_FILE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST: Final = 10_240
_USUAL: Final = 32_768  # where that range begins on Linux; elsewhere higher
_HOSTS: Final = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_TRIES: Final = 1000
_WORKERS: Final = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))

_given: set[int] = set()


def free_port() -> int:
    """A port that is free on all loopback addresses now; never the same twice in a process."""
    for _ in range(_TRIES):
        port = random.SystemRandom().randrange(_LOWEST + _WORKER, outgoing_begin(), _WORKERS)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise OSError("no port is free below those of outgoing connections")


def outgoing_begin() -> int:
    """The first port that an outgoing connection may get."""
    try:
        begin = int(_RANGE_FILE.read_text().split()[0])
    except OSError:
        begin = _USUAL
    assert begin > _LOWEST + _TRIES, f"{_RANGE_FILE} leaves no ports to choose from"
    return begin


def _is_free(port: int) -> bool:
    for family, host in _HOSTS:
        if family == socket.AF_INET6 and not _has(family, host):
            continue
        with socket.socket(family) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def _has(family: socket.AddressFamily, host: str) -> bool:
    """Whether the machine has this address."""
    try:
        with socket.socket(family) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True
