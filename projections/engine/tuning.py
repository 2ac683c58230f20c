"""How a process that receives or folds is set up."""

import gc
from typing import Final

_YOUNG_OBJECTS: Final = 50_000
_OLDER_GENERATIONS: Final = 20


def tune_collector() -> None:
    """Let the cyclic collector run seldom: requests, facts and rows have no cycles, and are many.

    Call it once, when everything is imported: what exists then is not looked at again.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _OLDER_GENERATIONS, _OLDER_GENERATIONS)
