"""The stock peers: a real Jaeger and a real OpenTelemetry Collector, built once and run here.

`python -m tests.peers` builds both into `$XDG_CACHE_HOME/spanledger-peers` (or `~/.cache/…`),
a folder per version; what is there is kept. Tests and benchmarks start them through `Jaeger`
and `Collector`, which bind loopback ports only and end the process they started, by its id.
"""

from tests.peers.collector import Collector
from tests.peers.jaeger import Jaeger
from tests.peers.process import PeerFailed

__all__ = ["Collector", "Jaeger", "PeerFailed"]
