"""How many examples a costly property test tries: a few at home, all where CI is set.

So `make test` stays within minutes, and the gate, which exports CI, looks further.
"""

import os
from typing import Final

_AT_HOME: Final = 4
"""One in so many."""


def examples(count: int) -> int:
    """`count` where CI is set, else a part of it; at least two."""
    return count if os.environ.get("CI") else max(count // _AT_HOME, 2)
