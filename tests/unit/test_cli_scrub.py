"""`spanledger scrub test`: lines as they would be stored."""

import json
import subprocess
import sys
from pathlib import Path

from service.otlp.scrub.replacer import Replacer, scrub_rules


def scrub(text: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "service.cli.main", "scrub", "test", *options],
        input=text, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


def test_each_line_is_written_as_it_would_be_stored(tmp_path: Path) -> None:
    """Lines stay lines; what is no UTF-8 does not stop it."""
    done = scrub(b"mail bob@example.com\n\nplain \xff\nlast", "--data", str(tmp_path))
    assert done.stdout.decode().splitlines() == ["mail [email]", "", "plain �", "last"]
    assert done.returncode == 0


def test_json_tells_the_kinds(tmp_path: Path) -> None:
    """A line of JSON for each; --whole takes a key file as one text."""
    key = b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n"
    done = scrub(key, "--json", "--whole", "--data", str(tmp_path))
    assert json.loads(done.stdout) == {"text": "[token]", "kinds": ["token"]}


def test_own_patterns_add_and_allow(tmp_path: Path) -> None:
    """The settings of the service do: from options, and from its TOML file."""
    (tmp_path / "spanledger.toml").write_text("scrub_patterns = ['ACME-[0-9]{6}']\n")
    options = "--scrub-allow", r"ORD-[0-9.]+", "--data", str(tmp_path)
    done = scrub(b"ACME-123456 asked for ORD-10.0.0.1 at 10.0.0.1\n", *options)
    assert done.stdout == b"[private] asked for ORD-10.0.0.1 at [ip]\n"


def test_a_bad_pattern_is_named(tmp_path: Path) -> None:
    """One line says which, and what is wrong with it."""
    for pattern, reason in ("(", b"missing )"), ("a*", b"matches the empty text"):
        done = scrub(b"x\n", "--scrub-patterns", pattern, "--data", str(tmp_path))
        assert done.returncode == 2
        assert done.stderr.count(b"\n") == 1
        assert reason in done.stderr


def test_an_own_pattern_ends_with_its_string() -> None:
    """Strings are scanned joined; one that takes everything does not reach into the next."""
    replacer = Replacer(scrub_rules(uuids=False, patterns=["from .*"]))
    found = replacer.changes(b"from here\0bob@example.com\0from\0")
    assert [(start, change.new) for start, change in found] == [
        (0, b"[private]"),
        (10, b"[email]"),
    ]


def test_values_of_an_attribute_are_shown_as_stored(tmp_path: Path) -> None:
    """A denied key hides all, one that names a secret too; an exempt one nothing."""
    options = "--scrub-deny", "user.*", "--data", str(tmp_path)
    for key, shown in (
        ("user.name", "[private]"), ("db.password", "[password]"), ("task.id", "a@b.org"),
        ("other", "[email]"),
    ):  # fmt: skip
        done = scrub(b"a@b.org\n", "--key", key, *options)
        assert done.stdout.decode() == shown + "\n"
    done = scrub(b"x\n", "--key", "user.name", "--scrub-deny", "task.*", "--data", str(tmp_path))
    assert done.returncode == 2
    assert b"--scrub-exempt task." in done.stderr
