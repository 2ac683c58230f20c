"""Percepts by webhook: from the log to a signed request, once, wherever it is interrupted."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from events.log.socket import DoorClient
from projections.mapping.rules.problems import BadRules
from service.alerts import percepts
from service.alerts.engine import open_engine
from service.alerts.file import load
from service.alerts.sending.deliveries import sending_to
from service.alerts.sending.guard import networks_of
from service.alerts.store import FILE, SCHEMA_VERSION, SQL, open_store
from service.append.appender import Appender
from service.configuration.settings import Settings
from tests.alerting import NOW_NS, Time, heard, receivers, tried
from tests.events import make_batch
from tests.hooks import Hook, hooked
from tests.views import make_folder

SUBSCRIPTION = """
every = "100ms"
link = "http://ledger"

[[percepts]]
name = "novel"
notify = ["hook0"]
"""


def folder_of(tmp_path: Path, hook: Hook, text: str = SUBSCRIPTION) -> Path:
    """A data folder with a run that completed, and the file."""
    data = make_folder(tmp_path / "data", [make_batch([tried("load", 900, ok=True, run="r0")])])
    quiet = receivers(hook).replace("[[receiver]]", "[[receiver]]\nalerts = false")
    (data / "alerts.toml").write_text(text + quiet)
    return data


@asynccontextmanager
async def following(data: Path) -> AsyncIterator[None]:
    """Alerts at work, once every subscription has a place; other processes write to the log."""
    appender = Appender(Settings(data=data), lambda: DoorClient(data / "none"))
    file = data / "alerts.toml"
    async with open_engine(data, file, appender, networks_of(["127.0.0.1"]), Time()) as engine:
        stop = asyncio.Event()
        task = asyncio.create_task(engine.run(stop))
        try:
            await placed(data)
            yield
        finally:
            stop.set()
            await task


async def placed(data: Path, position: int = 0) -> None:
    """Wait until the subscription has come so far."""
    async with asyncio.timeout(60):
        while True:
            with closing(sqlite3.connect(data / FILE)) as file:
                if any(
                    row[0] >= position for row in file.execute("SELECT position FROM subscription")
                ):
                    return
            await asyncio.sleep(0.02)


async def taken(data: Path) -> None:
    """Wait until the receiver's answers are on record: what is not is told again."""
    async with asyncio.timeout(60):
        while waiting(data):
            await asyncio.sleep(0.02)


def waiting(data: Path) -> int:
    """How many notices wait for the receiver."""
    with closing(sqlite3.connect(data / FILE)) as file:
        (count,) = file.execute("SELECT count(*) FROM outbox WHERE receiver = 'hook0'").fetchone()
    return int(count)


async def fail(data: Path, run: str, ago_s: float = 60) -> None:
    """A run that fails with an error that nobody saw before."""
    span = tried("load", ago_s, run=run, error=f"Error{run}")
    await asyncio.to_thread(make_folder, data, [make_batch([span])])


def test_a_run_that_is_new_enough_is_told_once(tmp_path: Path) -> None:
    """With what the feed tells of it, signed, to the receiver that is named; not what was before
    the subscription, nor what is as ever, and nothing twice after a new start."""

    async def live(hook: Hook, data: Path) -> None:
        async with following(data):
            usual = make_batch([tried("load", 300, ok=True, run="r1")])
            await asyncio.to_thread(make_folder, data, [usual])
            await fail(data, "r2")
            (told,) = await heard(hook, 1)
            assert told["type"] == "spanledger.percept"
            assert told["data"]["subscription"] == "novel"
            percept = told["data"]["percept"]
            assert percept["run"]["run_id"] == "r2"
            assert percept["novelty"] >= 0.5
            assert percept["reasons"][0]["kind"] == "new_pattern"
            assert told["data"]["link"] == "http://ledger/tasks/load/runs/r2"
            await placed(data, 3)
            await taken(data)
        async with following(data):
            await fail(data, "r3", 30)
            _, told = await heard(hook, 2)
            assert told["data"]["percept"]["run"]["run_id"] == "r3"
            await taken(data)

    with hooked() as hook:
        asyncio.run(live(hook, folder_of(tmp_path, hook)))
        assert len(hook.posts) == 2
        assert hook.posts[0].headers["webhook-signature"].startswith("v1,")
        assert hook.posts[0].headers["webhook-id"] == hook.posts[0].document["data"]["notice_id"]


def test_a_receiver_that_is_away_holds_its_subscription(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was not told of is in the log, not in the outbox; it is told once it is back."""
    monkeypatch.setattr(percepts, "WAITING_LIMIT", 2)
    monkeypatch.setattr(percepts, "_PAGE", 1)

    async def live(hook: Hook, data: Path) -> None:
        async with following(data):
            for number in range(1, 6):
                await fail(data, f"r{number}", 100 - number)
            await placed(data, 3)
            assert waiting(data) <= 2
            hook.hold.set()
            told = await heard(hook, 5)
            runs = [one["data"]["percept"]["run"]["run_id"] for one in told]
            assert runs == [f"r{number}" for number in range(1, 6)]

    with hooked() as hook:
        hook.hold.clear()
        asyncio.run(live(hook, folder_of(tmp_path, hook)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[percepts]]\nname = "p"\n', "notify.*is missing"),
        ('[[percepts]]\nname = "p"\nnotify = ["hook1"]\n', "no receiver 'hook1'"),
        ('[[percepts]]\nname = "p"\nnotify = []\n', "notify"),
        ('[[percepts]]\nname = "p"\nnotify = ["hook0"]\nmin_novelty = 2\n', "min_novelty"),
        ('[[percepts]]\nname = "p"\nnotify = ["chat"]\n[[receiver]]\nname = "chat"\n'
         'type = "slack"\nurl = "http://chat"\n', "'chat' is no receiver of type webhook"),
    ],
)  # fmt: skip
def test_a_subscription_that_is_wrong_is_told(tmp_path: Path, text: str, said: str) -> None:
    """With its line and key."""
    with hooked() as hook:
        folder = folder_of(tmp_path, hook, text)
    with pytest.raises(BadRules, match=said):
        load(folder / "alerts.toml")


def test_a_file_of_the_first_schema_is_taken_on(tmp_path: Path) -> None:
    """What it holds stays; subscriptions have their table."""
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        file.executescript(SQL["schema"] + "PRAGMA user_version = 1;")
        file.execute("INSERT INTO receiver (name, sent) VALUES ('ops', 7)")
        file.commit()

    async def taken_on() -> Any:
        async with open_store(tmp_path) as store:
            return await store.place("default", "novel")

    assert asyncio.run(taken_on()) is None
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        assert file.execute("SELECT sent FROM receiver").fetchone() == (7,)
        assert file.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_a_percept_for_what_is_no_webhook_any_more_makes_way(tmp_path: Path) -> None:
    """A receiver may become another kind while notices wait."""
    with hooked() as hook:
        folder = folder_of(tmp_path, hook)
        (receiver,) = load(folder / "alerts.toml").receiver
    slack = type(receiver)(name="hook0", type="slack", url=hook.url)
    body = b'{"type":"spanledger.percept","id":"m","subscription":"s","tenant":"t","at_ns":1,'
    body += b'"link":"","percept":{}}'

    async def sent() -> Any:
        async with sending_to(slack, (), lambda: NOW_NS) as send:
            return await send(body)

    assert asyncio.run(sent()).verdict == "unreadable"
