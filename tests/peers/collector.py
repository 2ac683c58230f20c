"""A stock OpenTelemetry Collector of the parts that `otel-collector.yaml` names."""

import hashlib
from pathlib import Path

from tests.peers.build import cached, go, run
from tests.peers.process import Peer

VERSION = "v0.155.0"
MANIFEST = Path(__file__).with_name("manifest.yaml")


def collector_binary() -> Path:
    """The `otelcol` command, made by the Collector's own builder if it is not there."""

    def build(scratch: Path) -> Path:
        builder = f"go.opentelemetry.io/collector/cmd/builder@{VERSION}"
        go("install", builder, GOBIN=str(scratch))
        # The builder leaves sources and binary in a folder of its own below TMPDIR.
        run([scratch / "builder", "--config", MANIFEST], TMPDIR=str(scratch))
        return next(scratch.glob("otelcol-distribution*/otelcol"))

    parts = hashlib.sha256(MANIFEST.read_bytes()).hexdigest()[:8]
    return cached("otelcol", f"{VERSION}-{parts}", build)


class Collector(Peer):
    """A Collector run from a config file; `ports` are the ones it listens on.

    The variables that the file reads come as keywords of `start`.
    """

    def __init__(self, folder: Path, config: str, ports: list[int]) -> None:
        super().__init__(collector_binary(), config, folder, ports)

    @staticmethod
    def validate(config: Path, **environment: str) -> str:
        """Let the Collector itself check a config file; what it printed."""
        return run([collector_binary(), "validate", "--config", config], **environment)
