"""The folds of a role, with what the settings and the mapping rules in force say of them."""

from collections.abc import Collection, Mapping, Sequence

from projections.engine.port import Fold
from projections.engine.versions import MakeFolds
from projections.fold import RUN_LIMIT, STAGE_NAME
from projections.runs.long.left_out import ATTEMPTS_LIMIT
from projections.storage.configuration import Configuration
from projections.views.spans.fold import NAME as SPANS
from projections.views.spans.fold import OFF
from service.configuration.settings import Settings
from service.mappings.applying import Applying, folds_by
from service.telemetry.spans import traced_fold


def folds_of(settings: Settings, applying: Applying) -> MakeFolds:
    """Makes the folds of this service."""
    limit = settings.max_run_attempts
    own = {} if limit == ATTEMPTS_LIMIT else {RUN_LIMIT: limit}
    search = {} if settings.search_index else {OFF: True}
    make_folds = folds_by(lambda: {STAGE_NAME: {**own, **applying.configuration()}, SPANS: search})

    def make(
        names: Collection[str] | None = None,
        configured: Mapping[str, Configuration] | None = None,
    ) -> Sequence[Fold]:
        return [traced_fold(fold) for fold in make_folds(names, configured)]

    return make
