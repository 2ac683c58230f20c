"""`spanledger policies`: files checked, rules shown, decisions made, without a service."""

import json
from pathlib import Path

from typer.testing import CliRunner

from service.cli.main import app


def policies(*arguments: str, given: str = "") -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    done = CliRunner().invoke(app, ["policies", *arguments], input=given)
    return done.exit_code, done.stdout, done.stderr


def test_a_file_is_checked(tmp_path: Path) -> None:
    """A good one says how many rules it has; a bad one ends in 2, with each fault's line."""
    file = tmp_path / "policies.toml"
    file.write_text('[[rule]]\nid = "a"\nretry = "never"\n')
    code, out, _ = policies("check", "--data", str(tmp_path), "--json")
    assert code == 0
    assert json.loads(out)["rules"] == 1
    file.write_text('[[rule]]\nid = "a"\nretry = "sometimes"\n')
    code, _, err = policies("check", str(file))
    assert code == 2
    assert f"{file}:3: rule 'a': retry: Invalid enum value 'sometimes'" in err


def test_rules_are_shown_strongest_first_or_as_they_hold_for_a_case(tmp_path: Path) -> None:
    """The folder's file counts; each setting has its rule."""
    (tmp_path / "policies.toml").write_text(
        '[[rule]]\nid = "a"\nwhen = { task = "t", environment = "prod" }\nmax_attempts = 7\n'
    )
    code, out, _ = policies("show", "--data", str(tmp_path), "--json")
    assert code == 0
    assert [item["id"] for item in json.loads(out)["items"]][::8] == ["a", "defaults"]
    code, out, _ = policies("show", "--task", "t", "-e", "prod", "--data", str(tmp_path), "--json")
    document = json.loads(out)
    assert document["settings"]["max_attempts"] == 7
    assert document["rules"][0]["rule"] == "a"
    code, out, _ = policies("show", "--category", "nets")
    assert code == 2


def test_an_error_on_standard_input_is_decided(tmp_path: Path) -> None:
    """As JSON or as a program prints it; without one, of a category."""
    data = ("--data", str(tmp_path))
    line = json.dumps({"type": "ConnectionRefusedError", "message": "refused"})
    code, out, _ = policies("decide", "--json", *data, given=line)
    decision = json.loads(out)
    assert (code, decision["retry"], decision["category"]) == (0, True, "network")
    assert decision["rules"][0]["rule"] == "network"
    code, out, _ = policies("decide", *data, given="PermissionError: [Errno 13] denied: '/x'")
    assert "renew_credentials" in out
    code, out, _ = policies(
        "decide", "--category", "network", "--transient", "--attempts", "5", "--json", *data
    )
    assert json.loads(out)["reason"] == "5 of 5 attempts were made"


def test_a_policy_file_may_be_tried_before_it_is_applied(tmp_path: Path) -> None:
    """`--policies` takes it in place of what is in force."""
    file = tmp_path / "new.toml"
    file.write_text('[defaults]\nretry = "never"\n')
    _, out, _ = policies(
        "decide", "--category", "validation", "--transient", "--policies", str(file), "--json"
    )
    assert json.loads(out)["retry"] is False
