"""`spanledger errors classify`: errors in, what they are out."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.main import app

GOLDEN = Path(__file__).parents[1] / "data" / "errors" / "stacks" / "java.txt"
FIELDS = {
    "type", "message", "stack_hash", "fingerprint", "category", "severity", "transient",
    "confidence", "reason", "suggestion", "why",
}  # fmt: skip


def classify(given: str, *options: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    done = CliRunner().invoke(app, ["errors", "classify", *options], input=given)
    return done.exit_code, done.stdout, done.stderr


def test_a_line_in_is_a_line_out() -> None:
    """Each with all fields, in the order of the lines."""
    lines = [{"type": "KeyError", "message": "'a'"}, {"message": "connection refused"}, {}]
    code, out, _ = classify("\n".join(map(json.dumps, lines)) + "\n", "--json")
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [answer["category"] for answer in answers] == ["execution", "network", "unknown"]
    assert all(set(answer) == FIELDS for answer in answers)
    assert answers[2]["transient"] is None


def test_what_a_program_printed_is_one_error() -> None:
    """Plain text is read as a trace or as a message."""
    code, out, _ = classify(GOLDEN.read_text("utf-8"), "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["type"] == "java.lang.RuntimeException"
    assert answer["why"]["components"]["frames"].startswith("Orders.read")


def test_a_person_is_told_the_rule_and_the_components() -> None:
    """Without --json each field stands on a line of its own."""
    code, out, _ = classify("bash: foo: command not found")
    assert code == 0
    assert "execution.module" in out
    assert "made of" in out


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", "standard input holds no error"),
        ('{"message": "a"}\n{"message": \n', "line 2: "),
        ('{"attributes": 3}\n', "line 1: Expected `object`"),
    ],
)
def test_bad_input_is_told_by_line(given: str, told: str) -> None:
    """What stood before it was answered."""
    code, out, err = classify(given, "--json")
    assert code in {1, 2}
    assert told in err
    assert len(out.splitlines()) == (1 if "line 2" in told else 0)


def test_own_rules_and_versions_can_be_named(tmp_path: Path) -> None:
    """A bad file and an unknown version are told, too."""
    (tmp_path / "own.toml").write_text("[[rule]]\nid = 'x'\n")
    code, _, err = classify("x", "--rules", str(tmp_path))
    assert code
    assert "own.toml, rule 'x'" in err
    code, _, err = classify("x", "--fingerprint-version", "9")
    assert code
    assert "no fingerprint version 9" in err


def test_a_fingerprint_is_still_looked_up(tmp_path: Path) -> None:
    """The group's first word is a command only if it is one."""
    done = CliRunner().invoke(app, ["errors", "classic", "--data", str(tmp_path)])
    assert "no log in" in done.stderr
