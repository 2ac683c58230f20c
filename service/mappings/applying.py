"""Putting rules into force: the file, the receivers' scrubbing, and a rebuild of the views."""

import contextlib
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from events.errors import SpanledgerError
from projections.assembly import make_folds
from projections.engine.port import Fold
from projections.engine.projector import Projector
from projections.engine.versions import MakeFolds
from projections.fold import MAPPINGS
from projections.mapping.rules.files import load_rules
from projections.mapping.rules.in_force import InForce, read
from projections.storage.configuration import Configuration
from service.control.socket import call, instances
from service.mappings import in_force
from service.mappings.asking import APPLY, RELOAD


def folds_by(told: Callable[[], Mapping[str, Configuration]]) -> MakeFolds:
    """Makes the folds of this release; `told` are their configurations as they are then."""

    def make(
        names: Collection[str] | None = None,
        configured: Mapping[str, Configuration] | None = None,
    ) -> Sequence[Fold]:
        return make_folds(names, told() if configured is None else configured)

    return make


_Telling = Generator[dict[str, Any], None, dict[str, Any]]
"""Tells progress; what it returns is the answer."""


class Applying:
    """The rules of a data folder, as its projector goes by them.

    Args:
        directory: the user's rule files; None: there are none.
    """

    def __init__(self, data: Path, directory: Path | None) -> None:
        self._data = data
        self._directory = directory
        self._held: InForce | None = read(data)

    @classmethod
    def again(cls, data: Path) -> "Applying":
        """With the user's files that were applied last, where no service runs that names any."""
        held = read(data)
        return cls(data, Path(held.directory) if held is not None and held.directory else None)

    def begin(self) -> None:
        """Learn what is in force; at the first start, the rules that are there.

        Raises:
            BadRules: nothing is in force yet, and the files cannot be used.
        """
        self._held = in_force.begin(self._data, self._directory)

    def configuration(self) -> Mapping[str, Any]:
        """What the shared stage is configured with."""
        return {} if self._held is None else {MAPPINGS: self._held.content}

    def handlers(self, projector: Projector) -> Mapping[str, Callable[..., Any]]:
        """What can be asked over the control socket."""

        def apply_mappings(directory: str | None = None) -> _Telling:
            return self._apply(projector, directory)

        return {APPLY: apply_mappings}

    def _apply(self, projector: Projector, directory: str | None) -> _Telling:
        """Put what the files say into force, rebuild what that changes, and switch to it.

        Raises:
            BadRules: the files cannot be used; what was in force stays so.
            Unavailable: a rebuild runs.
        """
        chosen = self._directory if directory is None else Path(directory)
        rules = load_rules(chosen)

        def change() -> None:
            self._held = in_force.put_in_force(self._data, rules, chosen)
            self._directory = chosen

        following = projector.renew(change)
        self._tell_receivers()
        answer: dict[str, Any] = {"rules": len(rules.rules), "digest": rules.digest}
        if following is not None:
            answer |= yield from cast("_Telling", following)
        return answer

    def _tell_receivers(self) -> None:
        """Let receivers leave whole what the rules need; one that is not there reads the file when
        it starts."""
        for instance in instances(self._data, "receiver"):
            with contextlib.suppress(SpanledgerError):
                call(self._data, instance, RELOAD)
        self._held = in_force.told(self._data)
