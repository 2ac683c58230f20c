"""OTLP as a file: a request body as it was sent, or lines of JSON as a Collector writes them."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from events.errors import BadInput, NotFound
from events.identity import KEY_BYTES, Identity
from projections.trial import TENANT, Row
from service.otlp.decode.decoded import Decoded
from service.otlp.decode.decoder import decode_logs, decode_traces
from service.otlp.decode.json_body import decode_logs_json, decode_traces_json
from service.otlp.decode.limits import Limits

_Decode = Callable[[bytes, Limits], Decoded]
CAPTURE_BYTES: Final = 256 << 20
_IDENTITY: Final = Identity(hashlib.sha512(b"spanledger capture").digest()[:KEY_BYTES])


def capture_rows(paths: Iterable[Path]) -> list[Row]:
    """The spans and log records of captures, each once.

    Raises:
        NotFound: there is no such file.
        BadInput: a file is too large, or holds no traces and no logs.
    """
    rows: dict[bytes, Row] = {}
    for path in paths:
        for decoded in _requests(path):
            for group in decoded.groups:
                digest = _IDENTITY.context_digest(TENANT, group.context)
                ids = _IDENTITY.event_ids(digest, group.rows)
                for row, event_id in zip(group.rows, ids, strict=True):
                    rows.setdefault(event_id, Row(group.context, row, event_id))
    return list(rows.values())


def _requests(path: Path) -> Iterator[Decoded]:
    try:
        with path.open("rb") as file:
            body = file.read(CAPTURE_BYTES + 1)
    except OSError as exc:
        raise NotFound(f"{path} cannot be read: {exc.strerror}") from exc
    if len(body) > CAPTURE_BYTES:
        raise BadInput(f"{path} is larger than {CAPTURE_BYTES >> 20} MiB; split it")
    text = body.lstrip()
    if not text.startswith(b"{"):
        yield _decoded(path, body, decode_traces, decode_logs)
        return
    lines = text.splitlines() if _is_lines(text) else [text]
    for line in filter(None, map(bytes.strip, lines)):
        yield _decoded(path, line, decode_traces_json, decode_logs_json)


def _is_lines(text: bytes) -> bool:
    """Is each line a document of its own?"""
    return text.partition(b"\n")[0].rstrip().endswith(b"}")


def _decoded(path: Path, body: bytes, traces: _Decode, logs: _Decode) -> Decoded:
    """A request, of whichever signal it makes sense as."""
    refused: list[str] = []
    for decode in (traces, logs):
        try:
            decoded = decode(body, Limits())
        except BadInput as exc:
            refused.append(str(exc))
            continue
        if decoded.accepted:
            return decoded
        refused += decoded.reasons
    because = f": {refused[0]}" if refused else ""
    raise BadInput(f"{path} holds no spans and no log records of OTLP{because}")
