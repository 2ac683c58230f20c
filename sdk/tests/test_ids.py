"""The trace id of a run: what it is made of, for good."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger_sdk import trace_id_of

TEXTS = st.text(max_size=20)
TRIPLES = st.tuples(TEXTS, TEXTS, TEXTS)


@pytest.mark.parametrize(
    ("tenant", "task_id", "run_id", "expected"),
    [
        ("default", "invoice.charge", "order-1", "7ff2000cbf7489813e21612ac81675ac"),
        ("acme", "invoice.charge", "order-1", "32d0e9aaa79c1b341060b285da4d90bd"),
        ("", "", "", "66756da7f38dd44a79e90fb0511e54b1"),
        ("default", "Rechnung/übernehmen", "№ 7", "43c14be9e2af7f2171b773eee152c27b"),
    ],
)
def test_golden_values(tenant: str, task_id: str, run_id: str, expected: str) -> None:
    """These ids are stored in ledgers: no release may give others."""
    assert f"{trace_id_of(tenant, task_id, run_id):032x}" == expected


@given(TRIPLES)
def test_it_is_the_documented_function(triple: tuple[str, str, str]) -> None:
    """Anybody can compute it by the sentence in its docstring."""
    data = b"spanledger.trace_id.v1"
    for text in triple:
        data += len(text.encode()).to_bytes(4, "big") + text.encode()
    expected = int.from_bytes(hashlib.sha256(data).digest()[:16], "big")
    assert trace_id_of(*triple) == expected


@given(TRIPLES, TRIPLES)
def test_other_runs_have_other_ids(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    """Texts that only together are equal make no equal id."""
    assert (trace_id_of(*one) == trace_id_of(*other)) == (one == other)


@given(TRIPLES)
def test_it_is_valid(triple: tuple[str, str, str]) -> None:
    """128 bits, not 0."""
    assert 0 < trace_id_of(*triple) < 1 << 128


def test_texts_that_are_no_unicode_have_one_too() -> None:
    """Half a surrogate, as a file name may hold, ends nothing."""
    assert trace_id_of("default", "\ud800", "1") != trace_id_of("default", "\udfff", "1")
