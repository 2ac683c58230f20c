"""A gRPC server that stores nothing: what each request costs before it is ours.

python -m benchmarks.bare        # prints its port, serves until it is ended
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc

from benchmarks import machine
from benchmarks.sender import EXPORT

_THREADS = 64


@contextmanager
def bare_server() -> Iterator[tuple[str, int]]:
    """A running one on the server's core: `host:port` and process id."""
    command = [sys.executable, "-m", "benchmarks.bare"]
    with (
        machine.on_cores(machine.SERVER_CORE),
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield f"127.0.0.1:{port}", process.pid
        finally:
            process.kill()


def _answer(body: bytes, context: Any) -> bytes:
    return b""


def main() -> None:
    """Serve as the receiver does: the sync server, raw bytes, as many threads."""
    server = grpc.server(futures.ThreadPoolExecutor(_THREADS))
    _, service, method = EXPORT.split("/")
    handlers = {method: grpc.unary_unary_rpc_method_handler(_answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
