"""The rules in force, while their files change."""

import threading
from pathlib import Path
from typing import Any

import pytest

from projections.errors import verdicts as module
from projections.errors.classify.classifier import make_classifier
from projections.errors.record import Record
from projections.errors.signature import encode_signature, signature_of
from projections.errors.verdicts import Verdicts

RULE = """
[[rule]]
id = "own"
category = "validation"
severity = "medium"
transient = false
types = ["BankClosed"]
rank = 99
reason = "ours"
suggestion = "Wait for the bank."
"""
PATIENCE_S = 30


def test_nobody_waits_while_changed_rules_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other threads go by the rules before them, and by the new ones once they are read."""
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    verdicts = Verdicts(tmp_path)
    content = encode_signature(signature_of(Record("BankClosed", "today", "", {})))
    before = verdicts.of(content)[0].category
    assert before != "validation"
    (tmp_path / "own.toml").write_text(RULE)
    begun, go_on = threading.Event(), threading.Event()

    def slowly(folders: Any) -> Any:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return make_classifier(folders)

    monkeypatch.setattr(module, "make_classifier", slowly)
    reader = threading.Thread(target=verdicts.look)
    reader.start()
    try:
        assert begun.wait(PATIENCE_S)
        assert verdicts.of(content)[0].category == before
    finally:
        go_on.set()
        reader.join(PATIENCE_S)
    assert verdicts.of(content)[0].category == "validation"
