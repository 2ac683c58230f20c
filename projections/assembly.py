"""The folds of this release, for all projections or some of them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from events.errors import BadInput
from projections.engine.port import Fold
from projections.fold import make_fold
from projections.storage.configuration import Configuration
from projections.views.recovery_actions.fold import NAME as RECOVERY
from projections.views.recovery_actions.fold import RecoveryActions
from projections.views.spans.fold import NAME as SPANS
from projections.views.spans.fold import Spans
from projections.views.traces.fold import NAME as TRACES
from projections.views.traces.fold import Traces
from projections.views.triage.fold import NAME as TRIAGE
from projections.views.triage.fold import Triage


def make_folds(
    names: Collection[str] | None = None,
    configured: Mapping[str, Configuration] | None = None,
) -> Sequence[Fold]:
    """Folds that share no tables; see `projections.engine.versions.MakeFolds`.

    Raises:
        BadInput: no projection has one of these names.
    """
    told_by_runs = None if names is None else set(names) - {TRACES, SPANS, TRIAGE, RECOVERY}
    folds: list[Fold] = []
    if told_by_runs is None or told_by_runs:
        try:
            folds.append(make_fold(told_by_runs, configured or {}))
        except ValueError as exc:
            raise BadInput(f"{exc}; there are {', '.join(sorted(NAMES))}") from exc
    if names is None or TRACES in names:
        folds.append(Traces())
    if names is None or SPANS in names:
        folds.append(Spans((configured or {}).get(SPANS, {})))
    if names is None or TRIAGE in names:
        folds.append(Triage())
    if names is None or RECOVERY in names:
        folds.append(RecoveryActions())
    return folds


NAMES: Final = frozenset(
    projection.name
    for fold in (make_fold(None), Traces(), Spans(), Triage(), RecoveryActions())
    for projection in fold.projections
)
