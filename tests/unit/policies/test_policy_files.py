"""Policy files: what they may say, and how what is wrong is told."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.policies.lines import Lines
from projections.policies.reading import BadPolicies, built_in, read_policies, read_policy_file

_FAULTS = {
    "max_attempts = 0": "p.toml:3: rule 'a': max_attempts: Expected `int` >= 1",
    "max_atempts = 2": "p.toml:3: rule 'a': max_atempts: this key is unknown here",
    'when = { category = "nets" }': "p.toml:3: rule 'a': when.category: Invalid enum value 'nets'",
    "backoff = { base_s = -1 }": "p.toml:3: rule 'a': backoff.base_s: Expected `float` >= 0.0",
    "backoff = { base = 1 }": "p.toml:3: rule 'a': backoff.base: this key is unknown here",
    'actions = ["Do It"]': "p.toml:3: rule 'a': actions: Expected `str` matching regex",
    "[rule.backoff]\n\n# why\ncap_s = 'x'": "p.toml:6: rule 'a': backoff.cap_s: Expected `float`",
    'retry = """\nno"""': "p.toml:3: rule 'a': retry: Invalid enum value",
    '[[rule]]\nid = "a"': "p.toml:4: rule 'a': id: stands there twice",
    "[[rule]]\nretry = 'never'": "p.toml:3: rule '2': is missing the required field `id`",
    "[other]": "p.toml:3: other: this key is unknown; known: inherit, defaults, rule",
    "max_attempts = = 2": "p.toml:3: no TOML: ",
}


@pytest.mark.parametrize("text", _FAULTS)
def test_a_fault_is_told_with_its_line_rule_and_key(text: str) -> None:
    """So that whoever edits the file finds it at once."""
    with pytest.raises(BadPolicies) as caught:
        read_policies(f'[[rule]]\nid = "a"\n{text}\n', "p.toml")
    assert str(caught.value).startswith(_FAULTS[text])


def test_every_rule_that_is_wrong_is_told_at_once() -> None:
    """Nobody mends a file fault by fault."""
    text = '[defaults]\nmax_wait_s = "a"\n[[rule]]\nid = "a"\nrepairs = 1.5\n[[rule]]\nid = "-"\n'
    with pytest.raises(BadPolicies) as caught:
        read_policies(text, "p.toml")
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        "p.toml:2", "p.toml:5", "p.toml:7",
    ]  # fmt: skip


def test_what_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    """A file that cannot be a policy is named."""
    file = tmp_path / "p.toml"
    for content, told in (
        (b"\xff", "cannot be read"),
        (b"#" * 40_000, "larger than 32 KiB"),
        (b"rule = " + b"[" * 20_000, "nested too deep"),
    ):
        file.write_bytes(content)
        with pytest.raises(BadPolicies, match=told):
            read_policy_file(file)
    with pytest.raises(BadPolicies, match="cannot be read"):
        read_policy_file(tmp_path / "none.toml")


def test_own_rules_stand_before_those_that_are_shipped() -> None:
    """One of the same id replaces the shipped one; without inheritance there are no others."""
    shipped = {placed.rule.id for placed in built_in().rules}
    own = read_policies('[[rule]]\nid = "network"\nretry = "never"\n', "p.toml")
    assert [p.file for p in own.rules if p.rule.id == "network"] == ["p.toml"]
    assert {placed.rule.id for placed in own.rules} == shipped
    alone = read_policies('inherit = false\n[[rule]]\nid = "x"\n', "p.toml")
    assert [placed.rule.id for placed in alone.rules] == ["x"]


def test_a_version_is_known_by_the_content() -> None:
    """The same text has one digest, another text another."""
    assert read_policies("", "a").digest == read_policies("", "b").digest
    assert read_policies("", "a").digest != read_policies("#", "a").digest


_FILLERS = {
    "empty": [""],
    "comment": ["# key = 1", "# [[rule]]"],
    "text": ['t = """', "key = 2", "[[rule]]", '"""'],
    "raw": ["u = '''", "[rule.x]", "'''"],
    "array": ["l = [", "  [1, 2], # ]", '  "]",', "]"],
    "dotted": ["a.key = 1"],
}


@given(st.lists(st.sets(st.sampled_from(sorted(_FILLERS))), min_size=1, max_size=5))
def test_a_key_is_found_whatever_stands_before_it(blocks: list[set[str]]) -> None:
    """Comments, empty lines, strings and arrays of several lines move keys, and hide none."""
    lines: list[str] = []
    wanted: dict[int, int] = {}
    for number, block in enumerate(blocks):
        lines.append("[[rule]]")
        for name in sorted(block):
            lines += _FILLERS[name]
        lines.append("key = 1")
        wanted[number] = len(lines)
    text = "\n".join(lines)
    assert len(tomllib.loads(text)["rule"]) == len(blocks)
    found = Lines(text)
    assert {number: found.of(("rule", number, "key")) for number in wanted} == wanted
