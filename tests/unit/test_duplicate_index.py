"""The duplicate index: equal to a dictionary, over many generations and starts."""

import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from events.log import index as index_module
from events.log.index import DuplicateIndex, hashes
from events.log.table import Table

BITS = 6  # tables of 64, 128, … slots: many generations with few ids


def _index(folder: Path, log_id: str = "log", anchor: str = "a") -> DuplicateIndex:
    return DuplicateIndex(folder, log_id, lambda count: f"{anchor}{count}", BITS)


def _ids(count: int, seed: int) -> list[bytes]:
    return [random.Random(seed * 100_003 + n).randbytes(16) for n in range(count)]


def _add(index: DuplicateIndex, ids: list[bytes], segment: int) -> None:
    index.add(b"".join(ids), np.full(len(ids), segment))


def test_it_finds_the_segment_of_every_id_and_nothing_else(tmp_path: Path) -> None:
    """Over a dozen generations each id has its segment, and unknown ids have none."""
    index, segments = _index(tmp_path), [_ids(37, seed) for seed in range(60)]
    for number, ids in enumerate(segments):
        _add(index, ids, number)
    for number, ids in enumerate(segments):
        assert index.find(hashes(b"".join(ids))).tolist() == [number] * 37
    assert (index.find(hashes(b"".join(_ids(500, 999)))) == -1).all()
    assert len(index) == 60 * 37
    assert index.through == 60
    index.close()


def test_sealed_generations_come_back_from_disk(tmp_path: Path) -> None:
    """A new index maps what was sealed; only the tail has to be learned again."""
    index, segments = _index(tmp_path), [_ids(37, seed) for seed in range(60)]
    for number, ids in enumerate(segments):
        _add(index, ids, number)
    index.close()
    again = _index(tmp_path)
    again.load()
    assert 30 < again.through < 60
    for number, ids in list(enumerate(segments))[again.through :]:
        _add(again, ids, number)
    for number, ids in enumerate(segments):
        assert again.find(hashes(b"".join(ids))).tolist() == [number] * 37
    again.close()


def test_growing_does_not_wait_for_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are made while an earlier one is still being written, which is slow on purpose."""
    grown, saved = threading.Event(), []

    def saving(path: Path, about: dict[str, Any], table: Table) -> None:
        saved.append(grown.wait(20))

    monkeypatch.setattr(index_module, "save_table", saving)
    index = _index(tmp_path)
    for number in range(60):
        _add(index, _ids(37, number), number)
    grown.set()
    index.close()
    assert len(saved) > 3
    assert all(saved)


def test_what_is_sealed_is_not_written_again(tmp_path: Path) -> None:
    """A start that learns the tail leaves the cache files of earlier starts as they are."""
    index = _index(tmp_path)
    for number in range(60):
        _add(index, _ids(37, number), number)
    index.close()
    before = {path: path.stat().st_ino for path in tmp_path.glob("*.idx")}
    again = _index(tmp_path)
    again.load()
    _add(again, _ids(37, 60), again.through)
    again.close()
    assert {path: path.stat().st_ino for path in tmp_path.glob("*.idx")} == before


def test_a_cache_of_another_history_is_not_used(tmp_path: Path) -> None:
    """Another log's cache, another chain's, and a cut file are left alone."""
    index = _index(tmp_path)
    for number in range(60):
        _add(index, _ids(37, number), number)
    index.close()
    for other in (_index(tmp_path, log_id="other"), _index(tmp_path, anchor="b")):
        other.load()
        assert len(other) == 0
    first = min(tmp_path.glob("*.idx"))
    first.write_bytes(first.read_bytes()[:-1])
    cut = _index(tmp_path)
    cut.load()
    assert len(cut) == 0


def test_two_ids_with_equal_first_halves_are_both_known(tmp_path: Path) -> None:
    """An id whose 64 bits are taken is remembered whole, in one table and across two."""
    index = _index(tmp_path)
    one, two = b"same bit" + b"one half", b"same bit" + b"two half"
    _add(index, [one], 0)
    _add(index, [two], 1)
    assert index.find(hashes(two)).tolist() == [0]
    assert index.clash(two) == 1
    assert index.clash(one) == -1
    for number in range(2, 30):
        _add(index, _ids(37, number), number)
    three = b"same bit" + b"threehlf"
    _add(index, [three], 30)
    assert index.clash(three) == 30
    index.close()


def test_hash_zero_is_a_hash_like_any_other(tmp_path: Path) -> None:
    """An id that begins with eight zero bytes is found although 0 marks an empty slot."""
    index = _index(tmp_path)
    _add(index, [bytes(16)], 0)
    assert index.find(hashes(bytes(16))).tolist() == [0]
