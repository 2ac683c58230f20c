"""Make every environment, or those that are named, or say where they are."""

import sys
import time

from tests.orchestrators.environments import NAMES, environment

for name in sys.argv[1:] or NAMES:
    started_s = time.monotonic()
    path = environment(name)
    print(f"{name}: {path} ({time.monotonic() - started_s:.0f} s)", flush=True)
