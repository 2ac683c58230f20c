"""Status words and their stored numbers, flags of an attempt, and the public attempt id.

Stored numbers never change their meaning; a new status takes the next number.
"""

import hashlib
import struct
from collections.abc import Iterable
from typing import Final

STATUS_WORDS: Final = (
    "unknown",
    "running",
    "completed",
    "failed",
    "timed_out",
    "cancelled",
    "skipped",
    "abandoned",
    "queued",
    "retrying",
    "pending",
    "todo",
)
STATUS_NUMBERS: Final = {word: number for number, word in enumerate(STATUS_WORDS)}

UNKNOWN: Final = 0
RUNNING: Final = 1
COMPLETED: Final = 2
FAILED: Final = 3
TIMED_OUT: Final = 4
CANCELLED: Final = 5
SKIPPED: Final = 6
ABANDONED: Final = 7
QUEUED: Final = 8
RETRYING: Final = 9
PENDING: Final = 10
TODO: Final = 11

NO_HEARTBEAT_NO: Final = 0
"""The number of the message of attempts that were abandoned."""

FAILURES: Final = frozenset({FAILED, TIMED_OUT, ABANDONED})

# Words for a result, of ours, of the CI/CD conventions and of orchestrators, spelt as `spelling_of`
# does. The table stands in docs/mappings.md. Words of what has not ended mean that it runs.
_RESULT_WORDS: Final = {
    COMPLETED: "completed complete success successful succeeded ok done finished passed pass",
    FAILED: "failed fail failure error errored crashed crash terminated aborted abort"
    " upstreamfailed exception unsuccessful startupfailure broken",
    TIMED_OUT: "timedout timeout deadlineexceeded",
    CANCELLED: "cancelled canceled cancel cancellation cancelling canceling revoked removed"
    " interrupted stopped rejected ignored",
    SKIPPED: "skipped skip omitted notbuilt",
    ABANDONED: "abandoned lost killed zombie evicted preempted workerlost",
    RUNNING: "running deferred rescheduled queued pending scheduled retrying upforretry"
    " upforreschedule waiting inprogress started executing finalizing",
    UNKNOWN: "unknown",
}
RESULT_STATUS: Final = {
    word: status for status, text in _RESULT_WORDS.items() for word in text.split()
}


def spelling_of(word: str) -> str:
    """A word for a result as it is compared: case and separators do not count."""
    return "".join(filter(str.isalnum, word)).lower()


FLAG_NUMBER_BY_ORDER: Final = 1  # no number was given: order of start
FLAG_NUMBER_MOVED: Final = 2  # another attempt claims the number and started earlier
FLAG_STATUS_INFERRED: Final = 4  # concluded, not said by the sender's end of the attempt
FLAG_BACKFILLED: Final = 8
FLAG_NEGATIVE_DURATION: Final = 16
FLAG_NO_SPAN: Final = 32  # known from lifecycle log records only
FLAG_OUTCOME_INFERRED: Final = 64  # the status is a rule's conclusion; when it ended was said
FLAG_NEGATIVE_WAIT: Final = 128  # it started before it was queued: clocks differ
FLAGS_INFERRED: Final = (
    FLAG_NUMBER_BY_ORDER | FLAG_NUMBER_MOVED | FLAG_STATUS_INFERRED | FLAG_OUTCOME_INFERRED
)

NUMBER_BITS: Final = 20
NUMBER_LIMIT: Final = (1 << NUMBER_BITS) - 1
"""The largest attempt number; a number beyond counts as not given."""


SIGNATURE_BITS: Final = 16
SIGNATURE_LIMIT: Final = (1 << SIGNATURE_BITS) - 1
"""The most signatures of one error pattern: an error's number is the pattern's, and which of its
signatures it is."""


def attempt_id(tenant: str, task_id: str, run_id: str, number: int) -> str:
    """The public id of an attempt: 32 hex digits of a digest of what identifies it."""
    key = "\x00".join((tenant, task_id, run_id, str(number)))
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def number_behind(wanted: str, tenant: str, task_id: str, run_id: str) -> int:
    """The number of the attempt whose public id is `wanted`; 0 if it is none of the first 1,000."""
    numbers = range(1, 1_001)
    return next((n for n in numbers if attempt_id(tenant, task_id, run_id, n) == wanted), 0)


_hasher = hashlib.blake2b(digest_size=8)


def key_hash(*parts: str) -> int:
    """63-bit digest of texts, for the text -> number indexes."""
    return key_hashes(["\x00".join(parts)])[0]


def key_hashes(keys: Iterable[str]) -> list[int]:
    """`key_hash` of many keys, the parts of each joined by NUL."""
    digests = []
    copy = _hasher.copy  # half the price of a new one
    for key in keys:
        hasher = copy()
        hasher.update(key.encode())
        digests.append(hasher.digest())
    return [digest >> 1 for digest in struct.unpack(f"<{len(digests)}Q", b"".join(digests))]
