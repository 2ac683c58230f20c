"""The folds that a process feeds views with, made with what the settings say of them."""

from collections.abc import Collection, Mapping, Sequence

from projections.assembly import make_folds
from projections.engine.port import Fold
from projections.engine.versions import MakeFolds
from projections.fold import RUN_LIMIT, STAGE_NAME
from projections.runs.long.left_out import ATTEMPTS_LIMIT
from projections.storage.configuration import Configuration
from service.configuration.settings import Settings
from service.telemetry.spans import traced_fold


def folds_of(settings: Settings) -> MakeFolds:
    """Makes the folds of a service."""
    told: dict[str, Configuration] = {}
    if settings.max_run_attempts != ATTEMPTS_LIMIT:
        told[STAGE_NAME] = {RUN_LIMIT: settings.max_run_attempts}

    def make(
        names: Collection[str] | None = None,
        configured: Mapping[str, Configuration] | None = None,
    ) -> Sequence[Fold]:
        folds = make_folds(names, told if configured is None else configured)
        return [traced_fold(fold) for fold in folds]

    return make
