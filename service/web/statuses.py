"""How a status looks: eight kinds, each with a colour and a shape of its own.

Twelve words share eight kinds, because what waits and what ended without a result are told apart
by their words. Colours keep a contrast of 4.5:1 on both grounds; the shapes tell the kinds apart
without any colour.
"""

from typing import Final

KINDS: Final = {
    "completed": "completed",
    "failed": "failed",
    "timed_out": "timedout",
    "abandoned": "abandoned",
    "running": "running",
    "retrying": "retrying",
    "queued": "waiting",
    "pending": "waiting",
    "todo": "waiting",
    "cancelled": "ended",
    "skipped": "ended",
    "unknown": "ended",
}
TASK_WORDS: Final = tuple(KINDS)
RUN_WORDS: Final = tuple(word for word in KINDS if word not in ("todo", "pending"))
ATTEMPT_WORDS: Final = tuple(word for word in RUN_WORDS if word not in ("queued", "retrying"))
TROUBLE: Final = ("failed", "timed_out", "abandoned")


def kind_of(status: str | None) -> str:
    """The kind of a status word; of one that this release does not know, the quiet one."""
    return KINDS.get(status or "", "ended")
