"""Taking duplicates out of a batch, and telling conflicts among keyed ones."""

from collections.abc import Collection

from events import codec
from events.identity import ID_BYTES
from events.log.port import Batch


def split_ids(ids: bytes) -> list[bytes]:
    """The packed ids, one by one."""
    return [ids[i : i + ID_BYTES] for i in range(0, len(ids), ID_BYTES)]


def without(batch: Batch, dropped: Collection[int]) -> Batch | None:
    """The batch less the events at these ordinals, packed again; None if nothing is left."""
    if len(dropped) == batch.count:
        return None
    kept_ids: list[bytes] = []
    blocks: list[codec.EncodedBlock] = []
    ids = split_ids(batch.ids)
    keyed = set(batch.keyed)
    kept_keyed: list[int] = []
    ordinal = 0
    for block in codec.decode_raw_blocks(codec.unpack(batch.codec, batch.payload)):
        rows = []
        for row in block.events:
            if ordinal not in dropped:
                if ordinal in keyed:
                    kept_keyed.append(len(kept_ids))
                rows.append(bytes(row))
                kept_ids.append(ids[ordinal])
            ordinal += 1
        if rows:
            blocks.append((block.tenant, block.received_ns, bytes(block.context), rows))
    return Batch.of(
        blocks,
        kept_ids,
        time_min_ns=batch.time_min_ns,
        time_max_ns=batch.time_max_ns,
        keyed=kept_keyed,
    )
