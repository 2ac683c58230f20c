"""A stock Jaeger v2, with memory or Badger storage."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Literal

from tests.peers.build import cached, go
from tests.peers.process import Peer
from tests.ports import free_port

VERSION = "v1.76.0"
"""The newest published module version; the same release is Jaeger 2.13."""

Storage = Literal["memory", "badger"]

_CONFIG = """\
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {{receivers: [otlp], processors: [{processors}], exporters: [jaeger_storage_exporter]}}
  telemetry:
    metrics: {{level: none}}
    logs: {{level: warn}}
extensions:
  jaeger_query:
    storage: {{traces: main}}
    http: {{endpoint: "127.0.0.1:{query}"}}
    grpc: {{endpoint: "127.0.0.1:{query_grpc}"}}
  jaeger_storage:
    backends:
      main: {backend}
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}", max_recv_msg_size_mib: {max_recv_msg_size_mib}}}
      http: {{endpoint: "127.0.0.1:{http}"}}
processors:
  batch: {{}}
exporters:
  jaeger_storage_exporter: {{trace_storage: main}}
"""


def jaeger_binary() -> Path:
    """The `jaeger` command, built with the checksums of its own go.sum if it is not there."""

    def build(scratch: Path) -> Path:
        module = json.loads(
            go("mod", "download", "-json", f"github.com/jaegertracing/jaeger@{VERSION}")
        )
        go("build", "-C", module["Dir"], "-o", str(scratch / "jaeger"), "./cmd/jaeger")
        return scratch / "jaeger"

    return cached("jaeger", VERSION, build)


class Jaeger(Peer):
    """A Jaeger on free loopback ports; `grpc`, `http` and `query` are `host:port`.

    `batch` puts the Collector's batch processor before the storage, as Jaeger's own example
    files do; without it a request is answered after it was stored.
    """

    def __init__(
        self,
        folder: Path,
        *,
        storage: Storage = "memory",
        max_traces: int = 1_000_000,
        max_recv_msg_size_mib: int = 4,
        batch: bool = False,
    ) -> None:
        grpc, http, query, query_grpc = (free_port() for _ in range(4))
        badger = folder / "badger"
        backend = (
            f"{{memory: {{max_traces: {max_traces}}}}}"
            if storage == "memory"
            else f'{{badger: {{directories: {{keys: "{badger}/keys", values: "{badger}/values"}}, '
            "ephemeral: false, ttl: {spans: 48h}}}"
        )
        config = _CONFIG.format(
            backend=backend, grpc=grpc, http=http, query=query, query_grpc=query_grpc,
            max_recv_msg_size_mib=max_recv_msg_size_mib, processors="batch" if batch else "",
        )  # fmt: skip
        super().__init__(jaeger_binary(), config, folder, [grpc, http, query])
        self.grpc = f"127.0.0.1:{grpc}"
        self.http = f"127.0.0.1:{http}"
        self.query = f"127.0.0.1:{query}"

    def trace(self, trace_id: bytes) -> dict[str, Any] | None:
        """A trace as OTLP/JSON, from `/api/v3/traces/{id}`, unadjusted; None if unknown."""
        path = f"/api/v3/traces/{trace_id.hex()}?raw_traces=true"
        try:
            answer = self.get(path)
        except urllib.error.HTTPError as exc:
            if exc.code == 404:
                return None
            raise
        result: dict[str, Any] = answer["result"]
        return result

    def services(self) -> list[str]:
        """The names of the services it knows."""
        services: list[str] = self.get("/api/v3/services")["services"]
        return services

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self.query}{path}", timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
