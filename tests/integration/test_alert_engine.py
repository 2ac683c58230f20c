"""Alerts at work on real views: found, told, put on record, and resolved."""

import asyncio
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from events import names
from events.errors import Unavailable
from projections.mapping.rules.problems import BadRules
from service.alerts.engine import Engine
from service.alerts.questions import answer
from service.alerts.samples import Samples
from service.alerts.sending.guard import networks_of
from service.alerts.sending.sender import Sender
from service.alerts.sending.shapes import Request
from service.alerts.store import Store
from service.configuration.settings import Settings
from service.roles import Place, alerts
from tests.alerting import NOW_NS, Time, heard, receivers, running, tried
from tests.events import SECOND_NS, make_batch
from tests.hooks import Hook, hooked
from tests.views import make_folder
from tests.writers import Writer

RULES = """
every = "100ms"
give_up = "1h"

[[rule]]
name = "failures"
when = "terminal_failures"
"""


def folder_of(tmp_path: Path, *hooks: Hook, rules: str = RULES) -> Path:
    """A data folder in which a task failed for good, and receivers."""
    data = make_folder(tmp_path / "data", [make_batch([tried("charge", 60, run="r1")])])
    write(data, rules, *hooks)
    return data


def write(data: Path, rules: str, *hooks: Hook) -> None:
    """The file of rules."""
    (data / "alerts.toml").write_text(rules + receivers(*hooks))


async def settled(data: Path, **wanted: int) -> None:
    """Wait until so many of the alerts have these states, and nothing waits in the outbox."""
    async with asyncio.timeout(60):
        while True:
            found = listed(data)
            states = [item["state"] for item in found["items"]]
            waiting = sum(one["waiting"] for one in found["receivers"])
            if not waiting and all(states.count(state) == n for state, n in wanted.items()):
                return
            await asyncio.sleep(0.02)


def listed(data: Path, path: str = "alerts", **parameters: Any) -> Any:
    """What the API answers."""
    return msgspec.to_builtins(answer(data, path, parameters, "default"))


def facts_of(data: Path) -> list[Any]:
    """The facts of alerts in the log."""
    with closing(Writer(data)) as writer:
        return writer.facts()


def test_an_alert_is_told_when_it_fires_and_when_it_is_over(tmp_path: Path) -> None:
    """To the receiver, in the list, in the history, and as facts in the log; each once."""

    async def live(hook: Hook, data: Path) -> None:
        clock = Time()
        async with running(data, clock):
            (fired,) = await heard(hook, 1)
            assert fired["type"] == "spanledger.alert"
            assert fired["data"]["alerts"][0]["labels"] == {"task": "charge"}
            await settled(data, firing=1)
            clock.now_ns += 3600 * SECOND_NS
            _, over = await heard(hook, 2)
            assert over["data"]["status"] == "resolved"
            await settled(data, resolved=1, firing=0)
        history = listed(data, "alerts/history")["items"]
        assert [item["change"] for item in history] == ["resolved", "fired"]
        first = listed(data, "alerts/history", limit=1)
        (second,) = listed(data, "alerts/history", limit=1, cursor=first["next"])["items"]
        assert second["change"] == "fired"
        assert [fact.kind for fact in facts_of(data)] == [
            names.FACT_ALERT_FIRED, names.FACT_ALERT_RESOLVED,
        ]  # fmt: skip
        assert facts_of(data)[0].subject["task_id"] == "charge"
        assert facts_of(data)[0].actor == names.ACTOR_ALERTS

    with hooked() as hook:
        asyncio.run(live(hook, folder_of(tmp_path, hook)))
        assert hook.statuses() == ["firing", "resolved"]


def test_a_new_start_tells_nothing_twice(tmp_path: Path) -> None:
    """What fires is known from the file; what was not delivered is."""

    async def live(hook: Hook, data: Path) -> None:
        clock = Time()
        async with running(data, clock):
            await heard(hook, 1)
            await settled(data, firing=1)
        for _ in range(2):
            async with running(data, clock) as engine, asyncio.timeout(60):
                while (await engine.status())["evaluated_ns"] is None:
                    await asyncio.sleep(0.02)
        assert len(hook.posts) == 1

    with hooked() as hook:
        asyncio.run(live(hook, folder_of(tmp_path, hook)))


def test_a_slow_receiver_holds_up_nobody(tmp_path: Path) -> None:
    """While one does not answer, others are told, and rules are evaluated."""

    async def live(slow: Hook, quick: Hook, data: Path) -> None:
        clock = Time()
        async with running(data, clock):
            await heard(slow, 1)
            await heard(quick, 1)
            clock.now_ns += 3600 * SECOND_NS
            await heard(quick, 2)
            assert len(slow.posts) == 1
            slow.hold.set()
            assert [one["data"]["status"] for one in await heard(slow, 2)] == ["firing", "resolved"]
            await settled(data, resolved=1)

    with hooked() as slow, hooked() as quick:
        slow.hold.clear()
        asyncio.run(live(slow, quick, folder_of(tmp_path, slow, quick)))


def test_other_rules_come_into_force_and_bad_ones_do_not(tmp_path: Path) -> None:
    """An alert of a rule that is no more is over; a bad file changes nothing."""

    async def live(hook: Hook, data: Path) -> None:
        async with running(data, Time()) as engine:
            await heard(hook, 1)
            await settled(data, firing=1)  # what is not on record yet is told again
            write(data, RULES.replace("terminal_failures", "terminal"), hook)
            with pytest.raises(BadRules, match="key 'when'"):
                await engine.reload()
            assert (await engine.status())["rules"] == 1
            write(data, RULES.replace('"failures"', '"other"'), hook)
            assert await engine.reload() == {"rules": 1, "receivers": 1}
            said = [(one["data"]["rule"], one["data"]["status"]) for one in await heard(hook, 3)]
            assert sorted(said[1:]) == [("failures", "resolved"), ("other", "firing")]
            await settled(data, firing=1, resolved=1)

    with hooked() as hook:
        asyncio.run(live(hook, folder_of(tmp_path, hook)))


def test_a_fault_that_nobody_foresaw_ends_no_alerts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one rule: the others are told, and it is a problem; of putting on record: tried again."""
    rules = RULES + '[[rule]]\nname = "new"\nwhen = "new_error"\n'
    keep, failures = Store.advance, iter([sqlite3.OperationalError("disk is full")])

    def faulty(*asked: Any) -> None:
        raise ZeroDivisionError("nobody foresaw it")

    async def full(store: Store, *asked: Any) -> None:
        for failure in failures:
            raise failure
        await keep(store, *asked)

    monkeypatch.setattr(Samples, "patterns", faulty)
    monkeypatch.setattr(Store, "advance", full)

    async def live(hook: Hook, data: Path) -> None:
        async with running(data, Time()) as engine:
            (fired,) = await heard(hook, 1)
            assert fired["data"]["rule"] == "failures"
            problems = (await engine.status())["problems"]
            assert problems == {
                "new": "a fault of Spanledger: ZeroDivisionError: nobody foresaw it"
            }

    with hooked() as hook:
        asyncio.run(live(hook, folder_of(tmp_path, hook, rules=rules)))


def test_notices_of_a_receiver_that_is_no_more_are_given_up(tmp_path: Path) -> None:
    """They wait for nobody; one without any is no more told of."""

    async def live(gone: Hook, hook: Hook, data: Path) -> None:
        async with running(data, Time()) as engine:
            await heard(hook, 1)
            await heard(gone, 1)
            write(data, RULES, hook)
            await engine.reload()
            await settled(data, firing=1)
            found = {one["name"]: one for one in listed(data)["receivers"]}
            assert (found["hook1"]["waiting"], found["hook1"]["parked"]) == (0, 1)
            assert found["hook0"]["sent"] == 1
            write(data, RULES)
            await engine.reload()
            assert {one["name"] for one in listed(data)["receivers"]} == {"hook1", "log"}

    with hooked() as gone, hooked() as hook:
        gone.hold.clear()
        asyncio.run(live(gone, hook, folder_of(tmp_path, hook, gone)))


def test_reloads_at_once_leave_one_delivery_to_each(tmp_path: Path) -> None:
    """Whoever else asks meanwhile: a second one would tell everything twice."""

    async def live(hook: Hook, data: Path) -> None:
        async with running(data, Time()) as engine:
            await heard(hook, 1)
            await asyncio.gather(*(engine.reload() for _ in range(3)))
            named = Counter(task.get_name() for task in asyncio.all_tasks())
            assert named["alerts to hook0"] == named["alerts to log"] == 1

    with hooked() as hook:
        asyncio.run(live(hook, folder_of(tmp_path, hook)))


def test_a_name_of_other_letters_is_asked_in_those_of_the_network(tmp_path: Path) -> None:
    """A host may be written as its users write it; its header is what its name stands for."""

    async def live(hook: Hook) -> None:
        url = hook.url.replace(
            "127.0.0.1", "\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54"
        )
        sender = Sender(networks_of(["127.0.0.1", "::1"]), 60.0)
        answer = await sender.post(Request(url=url, headers={}, body=b"{}"))
        await sender.close()
        assert answer.verdict == "taken", answer.message

    with hooked() as hook:
        asyncio.run(live(hook))
        (post,) = hook.posts
        assert {name.lower(): value for name, value in post.headers.items()}["host"].startswith(
            "localhost:"
        )


def test_a_cool_down_outlasts_what_is_kept_of_an_alert(tmp_path: Path) -> None:
    """One that is back after two days of a week's cool-down is not told again."""

    async def live(hook: Hook, data: Path) -> None:
        clock = Time()
        async with running(data, clock) as engine:
            await heard(hook, 1)
            clock.now_ns += 3600 * SECOND_NS
            await heard(hook, 2)
            clock.now_ns += 2 * 86400 * SECOND_NS
            async with asyncio.timeout(60):
                while (await engine.status())["evaluated_ns"] != clock.now_ns:
                    await asyncio.sleep(0.02)
            clock.now_ns = NOW_NS + 2  # the failure is in the window again
            await settled(data, firing=1)
        assert hook.statuses() == ["firing", "resolved"]

    with hooked() as hook:
        rules = RULES + 'cool_down = "7d"\n'
        asyncio.run(live(hook, folder_of(tmp_path, hook, rules=rules)))


def test_maintenance_is_seen_and_not_told(tmp_path: Path) -> None:
    """The alert is in the list, and says so."""
    window = '[[maintenance]]\nfrom = "2026-05-28T00:00:00Z"\nuntil = "2026-05-29T00:00:00Z"\n'

    async def live(hook: Hook, data: Path) -> None:
        clock = Time()
        async with running(data, clock):
            await settled(data, firing=1)
            assert listed(data)["items"][0]["muted"]
            assert hook.posts == []
            write(data, RULES, hook)

    with hooked() as hook:
        asyncio.run(live(hook, folder_of(tmp_path, hook, rules=RULES + window)))


def test_without_views_nothing_is_said(tmp_path: Path) -> None:
    """Rules that cannot be evaluated are told as problems, and no alert changes."""
    data = folder_of(tmp_path)
    (data / "views.db").unlink()

    async def live() -> None:
        async with running(data, Time()) as engine, asyncio.timeout(60):
            while not (status := await engine.status())["problems"]:
                await asyncio.sleep(0.02)
            assert "no views" in status["problems"]["failures"]

    asyncio.run(live())
    assert listed(data) == {"items": [], "receivers": [], "next": None, "complete": True}


def test_while_the_views_are_behind_only_that_is_told(tmp_path: Path) -> None:
    """What was not seen yet did not fail to happen."""
    lag = '[[rule]]\nname = "behind"\nwhen = "projection_lag"\nabove = "1m"\n'
    silent = '[[rule]]\nname = "silent"\nwhen = "silence"\nabove = "10s"\n'
    data = folder_of(tmp_path, rules=RULES + lag + silent)
    with closing(Writer(data)) as writer:
        writer.door.append(make_batch([tried("charge", 1)]))
    with closing(sqlite3.connect(data / "ledger.db")) as log:
        (committed_ns,) = log.execute("SELECT max(committed_ns) FROM segment").fetchone()

    async def live() -> None:
        clock = Time()
        clock.now_ns = committed_ns + 61 * SECOND_NS
        async with running(data, clock) as engine, asyncio.timeout(60):
            while len((await engine.status())["problems"]) < 2:
                await asyncio.sleep(0.02)
            while not listed(data, rule="behind")["items"]:
                await asyncio.sleep(0.02)
        assert {item["rule"] for item in listed(data)["items"]} == {"behind"}

    asyncio.run(live())


def test_a_question_that_nobody_waits_for_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked hears that it took too long; what was asked of the loop does not go on."""
    monkeypatch.setattr(alerts, "_ANSWER_S", 0.05)
    data = folder_of(tmp_path)
    failed: list[BaseException] = []
    ended = threading.Event()

    async def never(engine: Engine) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    role = alerts.build(Settings(data=data), Place("alerts", failed.append, threading.Event()))
    role.start()
    try:
        with pytest.raises(Unavailable, match="did not answer within"):
            role._ask(never)
        assert ended.wait(60)
    finally:
        role.drain(60)
    assert failed == []
