"""The trace id of a run: a pure function of who runs what, so that nobody has to be told it.

Every process, machine and language that knows tenant, task id and run id computes the same id;
tries of one run share a trace without shared state. The function is for good: a change of it
would tear runs apart, so a new one would need a new name.
"""

import hashlib
from typing import Final

TRACE_ID_FUNCTION: Final = b"spanledger.trace_id.v1"
_LENGTH_BYTES: Final = 4


def trace_id_of(tenant: str, task_id: str, run_id: str) -> int:
    """The trace id of a run: 128 bits, valid by W3C Trace Context (never 0).

    The first 16 bytes, big endian, of SHA-256 over the function's name and the three texts, each
    as UTF-8 behind its length in bytes as 4 bytes big endian. With the lengths, no two triples
    give the same input. Were the result 0, it would be 1.
    """
    return TraceIds(tenant, task_id)(run_id)


class TraceIds:
    """`trace_id_of` of many runs of a task: what is the same for all is put together once."""

    __slots__ = ("_prefix", "tenant")

    def __init__(self, tenant: str, task_id: str) -> None:
        self.tenant = tenant
        self._prefix = TRACE_ID_FUNCTION + _framed(tenant) + _framed(task_id)

    def __call__(self, run_id: str) -> int:
        """The trace id of a run."""
        digest = hashlib.sha256(self._prefix + _framed(run_id)).digest()
        return int.from_bytes(digest[:16], "big") or 1


def _framed(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data
