"""What became of the events of a window: taken, or parked as runs of positions."""

from dataclasses import dataclass, field, replace

from service.forward.cursor import Parked
from service.forward.encode import Item, Signal


@dataclass(slots=True)
class Outcome:
    """How a window fares while its requests are answered.

    `failed` counts the requests in a row on which the target failed; `suspected` says that
    events are parked for that, and `proof` is one that the target took: tenant, signal, event.
    """

    sent: int = 0
    parked: list[Parked] = field(default_factory=list)
    failed: int = 0
    suspected: bool = False
    proof: tuple[str, Signal, Item] | None = None


def join_runs(parked: list[Parked]) -> list[Parked]:
    """Neighbours that were refused for the same reason, as one run."""
    joined: list[Parked] = []
    for run in sorted(parked):
        last = joined[-1] if joined else None
        if (
            last
            and not (last.partial or run.partial)
            and last.error == run.error
            and ((last.partition, last.last + 1) == (run.partition, run.first))
        ):
            joined[-1] = replace(last, last=run.last, count=last.count + run.count)
        else:
            joined.append(run)
    return joined
