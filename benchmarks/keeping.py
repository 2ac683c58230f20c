"""The highest offered rate at which every projection keeps up, on two cores with the sender.

A rate holds if the sender gets it acknowledged and the views have seen the last span at most a
second after it was. The rates tried are a tenth apart; the search halves their range.
"""

from benchmarks import machine
from benchmarks.figures import Figure
from benchmarks.running import Running, running, scratch
from benchmarks.sender import Order, Sender

_FLOORS_PER_S = {"mixed": 40_000, "attempts": 14_000}
_STEP = 1.1
_STEPS = range(-12, 9)
_LAG_S = 1.0
_KEPT = 0.97


def run(quick: bool) -> list[Figure]:
    """One search a load."""
    seconds = 4.0 if quick else 10.0
    return [_search(load, floor, seconds) for load, floor in _FLOORS_PER_S.items()]


def _search(load: str, floor: int, seconds: float) -> Figure:
    rates = [floor * _STEP**step for step in _STEPS]
    best: dict[str, float] = {}
    with scratch() as folder, running(folder) as service:
        low, high, rounds = -1, len(rates), 0
        while high - low > 1:
            middle = rates.index(floor) if not rounds else (low + high) // 2
            found = _try(service, load, rates[middle], seconds, first_round=100 * rounds)
            rounds += 1
            if found["kept"] >= _KEPT and found["lag_s"] <= _LAG_S:
                low, best = middle, found
            else:
                high = middle
    return Figure(
        name="acked with every projection keeping up",
        value=rates[low] if low >= 0 else 0.0,
        unit="spans/s", floor=floor, roles="all, and sender", cores="2", load=load, details=best,
    )  # fmt: skip


def _try(
    service: Running, load: str, rate: float, seconds: float, first_round: int
) -> dict[str, float]:
    order = Order(
        target=service.service.grpc, load=load, requests=int(rate * seconds / 512) + 1,
        seconds=2 * seconds, rate=rate, flight=64, first_round=first_round, warm_up=4,
    )  # fmt: skip
    with Sender(order, machine.BOTH_CORES) as sender:
        service.settle()
        before_s = service.cpu_s()
        sent = sender.send()
        lag_s = service.wait_for_views(service.head())
        after_s = service.cpu_s()
    return {
        "kept": sent.per_s / rate,
        "lag_s": lag_s,
        "p50_ms": sent.p50_ms,
        "p99_ms": sent.p99_ms,
        "sender_cpu_us": sent.cpu_us,
    } | {
        f"{name}_cpu_us": (after_s[name] - before_s[name]) / sent.spans * 1e6
        for name in ("receiver", "projector")
    }
