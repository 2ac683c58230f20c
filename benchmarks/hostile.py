"""What bodies cost that are cheap to send: the pipeline's thread, against honest ones.

Processor time of decompressing, decoding and of building the segment, scrubbing and compressing
included, as the pipeline does it; a body that is refused costs what it takes to refuse it. Each
shape of `tests.hostile` is compared with an honest body of its own size, signal and encoding.
"""

import time
from collections import defaultdict
from contextlib import suppress
from typing import Final

from benchmarks.figures import PART, Figure
from events.errors import BadInput, TooLarge
from events.identity import KEY_BYTES, Identity
from service.otlp.batch import BatchBuilder
from service.otlp.decode.limits import Limits
from service.otlp.scrub.scrubber import Scrubber
from tests.hostile import HONEST, SHAPES, Shape

_SIZES: Final = (200_000, 1_000_000, 4_000_000)
_TIMES: Final = 3
_FACTOR: Final = 4.0


def run(quick: bool) -> list[Figure]:
    """The dearest shape of each kind as a multiple of the honest one, then every shape."""
    builder = BatchBuilder(Identity(bytes(KEY_BYTES)), Scrubber())
    sizes = _SIZES[:2] if quick else _SIZES
    dearest: dict[str, list[Figure]] = defaultdict(list)
    for size in sizes:
        honest = {name: _cost_ns(shape, size, builder) for name, shape in HONEST.items()}
        for name, shape in SHAPES.items():
            cost = _cost_ns(shape, size, builder)
            dearest[shape.honest].append(_figure(PART + name, cost, honest[shape.honest], size))
    found = []
    for kind, figures in dearest.items():
        figures.sort(key=lambda figure: -figure.value)
        first = figures[0]
        found.append(
            Figure(
                name=f"the dearest body against {kind}", value=first.value, unit="×",
                floor=_FACTOR, bound="at most", roles="receiver", cores="1", load=first.load,
                details=first.details,
            )
        )  # fmt: skip
        found += figures
    return found


def _cost_ns(shape: Shape, size: int, builder: BatchBuilder) -> float:
    """Processor time a byte of the body before compression, in ns: the least of a few times."""
    body = shape.make(size)
    plain_bytes = size if shape.packed else len(body)
    return min(_once_s(shape, body, builder) for _ in range(_TIMES)) * 1e9 / plain_bytes


def _once_s(shape: Shape, body: bytes, builder: BatchBuilder) -> float:
    started_s = time.thread_time()
    with suppress(TooLarge, BadInput):
        builder.build([("default", 1, shape.decode(body, Limits()))])
    return time.thread_time() - started_s


def _figure(name: str, cost: float, honest: float, size: int) -> Figure:
    return Figure(
        name=name, value=cost / honest, unit="×", roles="receiver", cores="1",
        load=f"{size:,} B", details={"ns_per_B": cost, "honest_ns_per_B": honest},
    )  # fmt: skip
