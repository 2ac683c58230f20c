"""What the sender of a target is doing, as it is told to whoever asks."""

from dataclasses import dataclass
from typing import Literal

State = Literal["starting", "sending", "idle", "waiting", "barred", "paused", "stopped"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What a sender is doing, and until when it waits (0: it does not)."""

    state: State
    error: str = ""
    retry_ns: int = 0
