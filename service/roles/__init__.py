"""The roles of a service: what each process of it builds and runs.

A role has a record in `service.roles.declaration` and a module with `build(settings, place) ->
Role`; that module alone builds the objects of its process, by constructor arguments. An
*instance* is a role as it runs: `receiver` holds the writer as well, `receiver-1`, `receiver-2`,
… reach it through its door.
"""

import importlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from service.configuration.settings import Settings
from service.roles.declaration import ROLES, role_of


class Role(Protocol):
    """One role at work in this process."""

    locks: tuple[str, ...]
    """The locks it holds for life; taken before `start`."""

    def start(self) -> dict[str, str]:
        """Begin; returns once it can work. The ports it listens on, by name."""
        ...

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        """What it answers on its control socket."""
        ...

    def drain(self, deadline_s: float) -> None:
        """Take nothing new and finish what was begun, within `deadline_s`."""
        ...

    def close(self) -> None:
        """Give everything back; may be called twice and without `start`."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a role runs: its instance's name, whom it tells that it cannot go on, and whether
    it is to stop, for a start that waits for something."""

    instance: str
    fail: Callable[[BaseException], None]
    stopping: threading.Event


def build(settings: Settings, place: Place) -> Role:
    """The role of `place`, not started. Only its own module is loaded: memory counts."""
    module = importlib.import_module(ROLES[role_of(place.instance)].module)
    built: Role = module.build(settings, place)
    return built
