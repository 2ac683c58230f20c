"""Asking the process of a group that runs apart, or doing it in its place while it is away."""

from contextlib import closing
from pathlib import Path
from typing import Any, Final

from events.log.reader import open_reader
from projections.engine.apart.feeder import ApartFeeder
from projections.engine.versions import MakeFolds
from service.control.feeding import Feeding
from service.control.locks import RoleLock, is_held
from service.control.socket import call

ROLE: Final = "apart"
_ANSWER_S: Final = 15.0
"""As long as the projector is given: it answers between two pages."""


def instance_of(name: str) -> str:
    """The process of a group, by name."""
    return f"{ROLE}-{name}"


def ask_apart(data: Path, make_folds: MakeFolds, name: str, op: str, **arguments: Any) -> Any:
    """What the process of group `name` answers to `op`.

    Raises:
        Unavailable: it runs and does not answer, or is starting.
        SpanledgerError: whatever the operation raises.
    """
    instance = instance_of(name)
    if is_held(data, instance):
        return call(data, instance, op, timeout_s=_ANSWER_S, **arguments)
    with (
        RoleLock(data, instance),
        closing(ApartFeeder(data, name, lambda: open_reader(data), make_folds)) as feeder,
    ):
        return Feeding(feeder).handlers()[op](**arguments)
