"""Decoded requests to one segment in the making: ids, scrubbing, content, digest, payload.

Ids are taken before scrubbing, so that a resend is recognised after a rule changed; what was
there before scrubbing is then gone. Each request keeps its own tenant and arrival time.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from events import codec, metrics, names
from events.identity import Identity
from events.log.port import Batch
from events.schema import Fact, Span
from service.otlp.decode.decoded import Decoded, Group
from service.otlp.decode.limits import Cuts
from service.otlp.scrub.scrubber import Scrubber

_KEY_MARK: Final = names.TASK_IDEMPOTENCY_KEY.encode()
_FACT_MARK: Final = codec.tag_mark(names.FACT)
_LOG_MARK: Final = codec.tag_mark(names.LOG_RECORD)
_SIGN_MARK: Final = b"task.attempt."
"""How the names of all lifecycle records begin."""


class BatchBuilder:
    """Builds batches; one for each pipeline thread."""

    def __init__(self, identity: Identity, scrubber: Scrubber | None) -> None:
        self._identity = identity
        self._scrubber = scrubber
        if scrubber is not None:
            scrubber.use_key(identity.key)

    def build(self, requests: Sequence[tuple[str, int, Decoded]]) -> Batch | None:
        """The batch of (tenant, arrival in ns, request); None if there is no event in them.

        The rows of the requests are scrubbed in place: they can be built only once.
        """
        found = [
            (tenant, received_ns, group)
            for tenant, received_ns, decoded in requests
            for group in decoded.groups
        ]
        if not found:
            return None
        ids, keyed = self._ids(found)
        groups = [group for _, _, group in found]
        contexts = self._scrub(groups)
        return Batch.of(
            [
                (tenant, received_ns, context, group.rows)
                for (tenant, received_ns, group), context in zip(found, contexts, strict=True)
            ],
            ids,
            time_min_ns=min(group.time_min_ns for group in groups),
            time_max_ns=max(group.time_max_ns for group in groups),
            keyed=keyed,
            signs=_signs(groups),
        )

    def _ids(self, found: list[tuple[str, int, Group]]) -> tuple[list[bytes], list[int]]:
        """The id of each event, and the ordinals of those that a sender's key stands for."""
        identity = self._identity
        ids: list[bytes] = []
        keyed: list[int] = []
        for tenant, _, group in found:
            rows = group.rows
            digest = identity.context_digest(tenant, group.context)
            first = len(ids)
            ids += identity.event_ids(digest, rows)
            if not group.keyed:
                continue
            for number, row in enumerate(rows):
                may_be_keyed = _KEY_MARK in row or codec.is_tagged(row, _FACT_MARK)
                if may_be_keyed and (key_id := self._keyed_id(tenant, row)):
                    ids[first + number] = key_id
                    keyed.append(first + number)
        return ids, keyed

    def _keyed_id(self, tenant: str, row: bytes) -> bytes | None:
        event = codec.decode_event(row)
        if isinstance(event, Fact):
            return self._identity.fact_id(tenant, event)
        if not isinstance(event, Span):
            return None
        attributes = event.attributes
        key = attributes.get(names.TASK_IDEMPOTENCY_KEY)
        if not isinstance(key, str) or not key:
            return None
        run = attributes.get(names.TASK_RUN_ID)
        attempt = attributes.get(names.TASK_ATTEMPT)
        return self._identity.keyed_id(
            tenant,
            names.SPAN,
            str(attributes.get(names.TASK_ID, "")),
            event.trace_id.hex() if run is None else str(run),
            attempt if isinstance(attempt, int) else 0,
            key,
        )

    def _scrub(self, groups: list[Group]) -> list[bytes]:
        """Scrub the rows of all groups in place; the contexts, scrubbed, in their order."""
        scrubber = self._scrubber
        if scrubber is None:
            return [group.context for group in groups]
        kinds: Cuts = Counter()
        if len(groups) == 1:
            group = groups[0]
            scrubber.rows(group.rows, group.text, group.text_ends, kinds)
        else:
            rows: list[bytes] = []
            ends: list[int] = []
            offset = 0
            for group in groups:
                rows += group.rows
                ends += [offset + end for end in group.text_ends]
                offset += len(group.text)
            scrubber.rows(rows, b"".join([group.text for group in groups]), ends, kinds)
            first = 0
            for group in groups:
                group.rows = rows[first : first + len(group.rows)]
                first += len(group.rows)
        for kind, count in kinds.items():
            metrics.SCRUBBED.labels(kind).inc(count)
        return [scrubber.context(group.context) for group in groups]


def _signs(groups: list[Group]) -> list[int]:
    """The ordinals of the log records that may tell of an attempt."""
    signs: list[int] = []
    first = 0
    for group in groups:
        if group.rows and codec.is_tagged(group.rows[0], _LOG_MARK):
            signs += [first + n for n, row in enumerate(group.rows) if _SIGN_MARK in row]
        first += len(group.rows)
    return signs
