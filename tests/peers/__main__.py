"""Build both peers, or say where they are."""

import time

from tests.peers.collector import collector_binary
from tests.peers.jaeger import jaeger_binary

for name, binary in (("jaeger", jaeger_binary), ("collector", collector_binary)):
    started = time.monotonic()
    path = binary()
    print(f"{name}: {path} ({time.monotonic() - started:.0f} s)", flush=True)
