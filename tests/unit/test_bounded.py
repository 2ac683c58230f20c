"""What is kept in memory is bounded in bytes, however long or many the texts are."""

import sqlite3
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import bounded, codec, names
from events.bounded import BoundedDict, remembered, text_bytes
from events.log import writer
from events.log.memory import MemoryLog
from events.log.writer import LogWriter
from projections.errors import signature
from projections.errors.record import Record
from projections.fold import RunFold
from projections.runs import extraction
from projections.runs.registry import numbers
from service.otlp.scrub import secret_keys
from service.otlp.scrub.scrubber import CONTEXTS_BYTES, Scrubber
from tests.events import make_batch, make_context, make_span

LONG = "x" * (64 << 10)


@given(
    sizes=st.lists(st.integers(0, 1_500), max_size=40),
    limit=st.sampled_from([0, 199, 1_000, 5_000]),
)
def test_it_holds_what_fits_and_never_more(sizes: list[int], limit: int) -> None:
    """Whatever is kept: within the bound, and what was kept last is there if it fits alone."""
    held: BoundedDict[int, int] = BoundedDict(limit)
    for key, size in enumerate(sizes):
        held.keep(key, -key, size)
        assert held.held_bytes <= limit
        assert (held.get(key) == -key) == (size + bounded.ENTRY_BYTES <= limit)
    held.clear()
    assert (len(held), held.held_bytes) == (0, 0)


def test_an_entry_costs_no_more_than_it_is_told_to() -> None:
    """The overhead of a key tuple, a number and a slot lies within `ENTRY_BYTES`."""
    held: BoundedDict[tuple[int, str], int] = BoundedDict(1 << 30)
    keys = [(n + 1_000, f"text {n}") for n in range(100_000)]
    for number, key in enumerate(keys, 1_000):
        held.keep(key, number, text_bytes(key[1]))
    real = sys.getsizeof(held) + sum(
        sys.getsizeof(key) + 2 * sys.getsizeof(key[0]) + sys.getsizeof(key[1]) for key in held
    )
    assert real <= held.held_bytes


def test_a_function_remembers_within_its_bound() -> None:
    """An answer is worked out once while there is room, None too."""
    asked: list[str] = []

    @remembered(10_000)
    def first(text: str) -> str | None:
        asked.append(text)
        return text[:1] or None

    assert [first("ab"), first("ab"), first(""), first("")] == ["a", "a", None, None]
    assert asked == ["ab", ""]
    for number in range(200):
        first(f"{number}" * 50)
    assert first.answers.held_bytes <= 10_000  # type: ignore[attr-defined]


def test_ids_of_segments_are_kept_within_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large batches that come again fill the bound and not more; each is found a duplicate."""
    monkeypatch.setattr(writer, "IDS_BYTES", 1 << 20)
    log = LogWriter(tmp_path)
    batches = [make_batch([make_span() for _ in range(2_000)]) for _ in range(6)]
    for batch in batches:
        log.append_group([batch])
    for batch in [*batches, *batches]:
        (again,) = log.append_group([batch])
        assert (again.stored, again.duplicates) == (0, 2_000)  # type: ignore[union-attr]
        assert 0 < log._ids.held_bytes <= 1 << 20
    log.close()


def test_long_texts_of_tasks_and_places_are_kept_within_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Resources, executors, queues and error texts of 64 KiB each, all new: the rows are whole."""
    for module, name in (
        (numbers, "KEPT_BYTES"), (extraction, "PLACES_BYTES"), (extraction, "SOURCES_BYTES"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, 1 << 20)
    log, fold = MemoryLog(), RunFold(None, {})
    connection = sqlite3.connect(":memory:", isolation_level=None)
    fold.create(connection)
    for number in range(60):
        attributes = {
            names.TASK_QUEUE: f"{number}{LONG}",
            names.TASK_EXECUTOR_ID: f"{LONG}{number}",
        }
        span = make_span(task=f"t{number}", attributes=attributes)
        log.append(make_batch([span], context=make_context(service=f"{number}{LONG}")))
        fold.apply(connection, log.read(0, number))
        registry, extractor = fold._registry, fold.extractor
        for held in (registry._executors, registry._sources, registry._source_parts):
            assert held.held_bytes <= 1 << 20
        assert extractor._places.held_bytes <= 1 << 20
        assert extractor._sources_bytes <= 1 << 20
    found = connection.execute(
        "SELECT count(DISTINCT queue) FROM attempt JOIN source USING (source_no)"
    )
    assert found.fetchone() == (60,)


def test_long_stacks_keys_and_contexts_are_kept_within_bytes() -> None:
    """Error texts, keys and resources that never come again."""
    scrubber = Scrubber()
    for number in range(200):
        signature.signature_of(Record("E", "failed", f"failed\n  at f{number}({LONG})\n"))
        scrubber.context(codec.encode_context(make_context(service=f"{number}{LONG}")))
        secret_keys.names_secret(make_span(attributes={f"{number}{LONG}": 1}))
    assert 0 < signature._kept.held_bytes <= signature.KEPT_BYTES
    answers = scrubber._known_context.answers  # type: ignore[attr-defined]
    assert 0 < answers.held_bytes <= CONTEXTS_BYTES
    assert max(map(len, secret_keys._harmless)) <= 256
