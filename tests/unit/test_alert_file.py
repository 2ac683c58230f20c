"""`alerts.toml`: what it may say, and what is said of a bad one."""

from pathlib import Path

import pytest

from events.times import parse_rfc3339
from projections.mapping.rules.problems import BadRules
from service.alerts.file import PAGERDUTY_URL, load, signing_key
from service.alerts.maintenance import covers, is_muted
from service.alerts.rule import AlertsFile, Maintenance, Silence, TerminalFailures, span

WHOLE = """
every = "5s"
link = "http://ledger.example"

[[rule]]
name = "checkout"
when = "terminal_failures"
task = "checkout.*"
for = "1m"
notify = ["ops"]

[[rule]]
name = "nightly"
when = "silence"
task = "nightly"
above = "25h"

[[receiver]]
name = "ops"
type = "webhook"
url = "https://hooks.example/spanledger"
secret_file = "secret"

[[receiver]]
name = "pager"
type = "pagerduty"
secret = "R0UT1NGK3Y"

[[maintenance]]
rules = ["nightly"]
days = ["sat"]
from = "22:00"
until = "06:00"
zone = "Europe/Berlin"
"""


def read(folder: Path, text: str) -> AlertsFile:
    """The file with this text, beside a secret."""
    (folder / "secret").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    (folder / "alerts.toml").write_text(text)
    return load(folder / "alerts.toml")


def problems(folder: Path, text: str) -> list[str]:
    """What is said of a bad file, without the path."""
    with pytest.raises(BadRules) as caught:
        read(folder, text)
    return [str(one).removeprefix(str(folder / "alerts.toml")) for one in caught.value.problems]


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    """Rules of each kind with their own keys, receivers with the secrets of files."""
    whole = read(tmp_path, WHOLE)
    checkout, nightly = whole.rule
    assert isinstance(checkout, TerminalFailures)
    assert (checkout.hold, checkout.notify) == (span(60), ("ops",))
    assert isinstance(nightly, Silence)
    assert nightly.above == span(25 * 3600)
    ops, pager = whole.receiver
    assert len(signing_key(ops.secret)) == 24
    assert pager.url == PAGERDUTY_URL
    assert whole.every == span(5)


def test_an_empty_file_alerts_of_terminal_failures(tmp_path: Path) -> None:
    """That is what people want to hear of, not of each failed try."""
    (rule,) = read(tmp_path, "").rule
    assert isinstance(rule, TerminalFailures)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[rule]]\nname = "a"\nwhen = "silense"\n', "line 3, rule 1, key 'when': no such kind"),
        ('[[rule]]\nname = "a"\nwhen = "silence"\n', "line 1, rule 1, key 'above': is missing"),
        ('[[rule]]\nname="a"\nwhen="silence"\nabove="soon"', "line 4, rule 1, key 'above': write"),
        ('[[rule]]\nname="a"\nwhen="silence"\nabove="9999d"', "from 1 ms to 365d 00h"),
        ('[[rule]]\nname="a"\nwhen="silence"\nabove="1h"\nabowe=1', "did you mean 'above'"),
        ('[[rule]]\nname="a"\nwhen="new_error"\nnotify=["ops"]', "key 'notify': no receiver"),
        ('every = "1ms"', ", line 1, key 'every': from 100 ms to 1h 00m"),
        ('evry = "1m"', "key 'evry': no such key; did you mean 'every'?"),
        ("[rule]\n", "write each as a table [[rule]]"),
        ('[[receiver]]\nname="a"\ntype="webhook"\nurl="http://h/"', "key 'secret': is missing"),
        ('[[receiver]]\nname="a"\ntype="slack"\nurl="h"', "line 4, receiver 1, key 'url': no http"),
        ('[[receiver]]\nname="a"\ntype="slack"\nurl="http://u:p@h/"', "credentials do not go"),
        ('[[receiver]]\nname="log"\ntype="slack"\nurl="http://h/"', "1, key 'name': 'log' is"),
        ('[[receiver]]\nname="a"\ntype="slack"\nurl_file="none"', "key 'url_file': cannot be read"),
        ('[[maintenance]]\nfrom="22:00"\nuntil="2026-01-01T00:00:00Z"', "both times of day"),
        ('[[maintenance]]\nfrom="22:00"\nuntil="6:00"', "both times of day"),
        ('[[maintenance]]\nfrom="22:00"\nuntil="06:00"\nzone="Mars"', "line 4, maintenance 1"),
        ('[[maintenance]]\nfrom="22:00"\nuntil="06:00"\nrules=["b"]', "no rule 'b'"),
        ("every = \n", "cannot be read as TOML: Invalid value (at line 1"),
    ],
)  # fmt: skip
def test_a_problem_says_where_and_what(tmp_path: Path, text: str, said: str) -> None:
    """The line and the key, and what may stand there."""
    (found,) = problems(tmp_path, text)
    assert said in found


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """A file is not mended line by line."""
    text = WHOLE.replace("silence", "silenc").replace("5s", "5").replace('ops"]', 'opps"]')
    assert len(problems(tmp_path, text)) == 3


def test_no_problem_repeats_a_secret(tmp_path: Path) -> None:
    """Neither a URL's nor that of a key."""
    text = (
        '[[receiver]]\nname="a"\ntype="slack"\nurl="ftp://hush/hush"\nsecret=["hush"]\n'
        '[[receiver]]\nname="b"\ntype="webhook"\nurl="http://h"\nsecret="hush"\n'
        '[[receiver]]\nname="c"\ntype="slack"\nurl="http://h"\nheaders={"x"="hush\\n"}\n'
    )
    found = problems(tmp_path, text)
    assert len(found) == 3
    assert "hush" not in "".join(found)


def test_maintenance_may_last_over_midnight() -> None:
    """The days are those on which it begins, in its own zone, in summer and winter."""
    window = Maintenance(
        begin="22:00", end="06:00", days=("sat",), zone="Europe/Berlin", rules=("a",)
    )
    inside = ["2026-01-03T21:00:00Z", "2026-01-04T04:59:59Z", "2026-07-04T20:00:00Z"]
    outside = ["2026-01-03T20:59:59Z", "2026-01-04T05:00:00Z", "2026-01-04T21:30:00Z"]
    assert all(covers(window, parse_rfc3339(one)) for one in inside)
    assert not any(covers(window, parse_rfc3339(one)) for one in outside)
    assert is_muted([window], "a", parse_rfc3339(inside[0]))
    assert not is_muted([window], "b", parse_rfc3339(inside[0]))


def test_maintenance_may_be_once() -> None:
    """Between two moments."""
    window = Maintenance(begin="2026-01-03T20:00:00Z", end="2026-01-03T21:00:00+00:00")
    assert covers(window, parse_rfc3339("2026-01-03T20:59:59Z"))
    assert not covers(window, parse_rfc3339("2026-01-03T21:00:00Z"))
