"""Attribute values as senders give them: any type may stand anywhere."""

from typing import Any

from projections.runs import words
from projections.runs.facts import More
from projections.runs.rows import TaskAttributes


def text_of(value: Any) -> str | None:
    """A text that is not empty; a number as text; None for anything else."""
    if type(value) is str:
        return value or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(value)


def number_of(value: Any) -> int:
    """An attempt number; 0 where none was given, or none that counts."""
    if type(value) is str and value.isdecimal() and len(value) <= 7:
        value = int(value)
    if type(value) is int and 0 < value <= words.NUMBER_LIMIT:
        return value
    return 0


def fraction_of(value: Any) -> float | None:
    """A number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def status_of(value: Any) -> int | None:
    """The status that a result word means; None for any other."""
    return words.RESULT_STATUS.get(value.lower()) if type(value) is str else None


def flag_of(value: Any) -> bool | None:
    """A yes or no, as such or as text."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if type(value) is str else None


def texts_of(value: Any) -> tuple[str, ...]:
    """A list of texts, or one text with commas between them."""
    if type(value) is str:
        value = value.split(",")
    if not isinstance(value, list | tuple):
        return ()
    return tuple(text.strip() for item in value if (text := text_of(item)) and text.strip())


def texts_or_count(value: Any) -> tuple[str, ...] | int | None:
    """A list of texts, or only how many there are."""
    if type(value) is int:
        return value
    return texts_of(value) or None


def more_of(said: TaskAttributes) -> More | None:
    """What few attempts say; None if nothing of it is said."""
    if (
        said.retry_of is None
        and said.will_retry is None
        and said.backfilled is None
        and said.parents is None
        and said.causes is None
        and said.files_written is None
        and said.retrieval_count is None
        and said.retrieval_sources is None
    ):
        return None
    parents, causes, sources = said.parents, said.causes, said.retrieval_sources
    more = More(
        text_of(said.retry_of),
        None if said.will_retry is None else flag_of(said.will_retry),
        said.backfilled is not None and bool(flag_of(said.backfilled)),
        () if parents is None else texts_of(parents),
        () if causes is None else texts_of(causes),
        texts_or_count(said.files_written),
        said.retrieval_count if type(said.retrieval_count) is int else None,
        None if sources is None else texts_or_count(sources),
    )
    return more if more != _NOTHING_MORE else None


_NOTHING_MORE = More()
