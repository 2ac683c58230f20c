"""Delivering notices: at least once, in order, patiently, and nowhere that nobody allowed."""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from events.errors import BadSetting
from service.alerts.alert import Alert
from service.alerts.notice import Notice, Outgoing, notice_of
from service.alerts.questions import answer
from service.alerts.rule import AlertsFile, Receiver, span
from service.alerts.sending.deliveries import sending_to, try_receiver
from service.alerts.sending.delivery import REFUSALS_LIMIT, Delivery
from service.alerts.sending.guard import is_allowed, networks_of
from service.alerts.sending.sender import Answer
from service.alerts.sending.shapes import request_of
from service.alerts.store import FILE, open_store
from tests.events import BASE_NS
from tests.hooks import hooked

LOOPBACK = networks_of(["127.0.0.0/8", "::1"])
SECRET = "whsec_" + base64.b64encode(b"s" * 24).decode()
ALERT = Alert(
    id="a" * 32, rule="failures", kind="terminal_failures", tenant="default", severity="error",
    labels={"task": "charge"}, state="firing", value=2.0, summary="2 runs failed <b>",
    details={
        "task_ids": ["charge"], "runs": [{"task_id": "charge/1", "run_id": "r 1"}],
        "fingerprints": ["f" * 32], "last_ended_ns": BASE_NS, "message": "declined",
    },
    since_ns=BASE_NS, held_ns=BASE_NS, fired_ns=BASE_NS, resolved_ns=None, runbook="http://r",
)  # fmt: skip


def receiver_of(kind: str = "webhook", url: str = "http://127.0.0.1:1/", **more: Any) -> Receiver:
    """A receiver of a kind."""
    return Receiver(name="ops", type=kind, url=url, secret=SECRET, **more)  # type: ignore[arg-type]


def body_of(status: str = "firing", key: str = "") -> Outgoing:
    """A row of the outbox."""
    file = AlertsFile(link="http://ledger")
    notice = notice_of(status, [ALERT], receiver_of(), file, None, BASE_NS)  # type: ignore[arg-type]
    return Outgoing(receiver="ops", key=key or notice.id, body=msgspec.json.encode(notice))


def request_to(kind: str, status: str = "firing") -> tuple[str, dict[str, str], Any]:
    """URL, headers and document that a kind of receiver is sent."""
    notice = msgspec.json.decode(body_of(status).body, type=Notice)
    made = request_of(receiver_of(kind, "http://h/x"), notice, BASE_NS)
    return made.url, made.headers, msgspec.json.decode(made.body)


def test_a_webhook_is_signed_as_the_standard_says(tmp_path: Path) -> None:
    """Id, time and body, by the key that the secret holds; the time is that of sending."""
    notice = msgspec.json.decode(body_of().body, type=Notice)
    made = request_of(receiver_of(), notice, BASE_NS + 7_000_000_000)
    head = made.headers
    assert head["webhook-timestamp"] == str(BASE_NS // 1_000_000_000 + 7)
    signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + made.body
    digest = base64.b64encode(hmac.new(b"s" * 24, signed, hashlib.sha256).digest()).decode()
    assert head["webhook-signature"] == f"v1,{digest}"
    document = msgspec.json.decode(made.body)
    (alert,) = document["data"]["alerts"]
    assert alert["links"][0] == "http://ledger/tasks/charge%2F1/runs/r%201"
    assert (alert["state"], alert["labels"]) == ("firing", {"task": "charge"})


def test_slack_gets_text_that_holds_no_markup_of_others() -> None:
    """What a task's error says cannot mention anybody."""
    _, _, document = request_to("slack")
    assert "&lt;b&gt;" in document["text"]
    (attachment,) = document["attachments"]
    text = attachment["blocks"][0]["text"]["text"]
    assert text == "• <http://ledger/tasks/charge%2F1/runs/r%201|2 runs failed &lt;b&gt;>"


def test_pagerduty_gets_an_event_that_opens_and_closes_one_incident() -> None:
    """The same key both times; severities are its own words."""
    _, _, opened = request_to("pagerduty")
    _, _, closed = request_to("pagerduty", "resolved")
    assert opened["dedup_key"] == closed["dedup_key"] == f"spanledger-{'a' * 32}"
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["routing_key"] == SECRET
    assert opened["payload"]["severity"] == "error"
    assert "payload" not in closed


def test_alertmanager_gets_labels_that_it_takes() -> None:
    """At its own path; the labels are the same whether it fires or is over."""
    url, _, (fires,) = request_to("alertmanager")
    _, _, (over,) = request_to("alertmanager", "resolved")
    assert url == "http://h/x/api/v2/alerts"
    assert fires["labels"] == over["labels"]
    assert fires["labels"]["alertname"] == "failures"
    assert fires["labels"]["task"] == "charge"
    assert fires["endsAt"] > over["endsAt"]
    assert fires["annotations"]["runbook_url"] == "http://r"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False), ("127.8.8.8", False), ("::1", False), ("0.0.0.0", False),
        ("::", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("fd00::1", False),
        ("fe80::1", False), ("224.0.0.1", False), ("ff02::1", False), ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False),
        ("255.255.255.255", False),
    ],
)  # fmt: skip
def test_only_public_addresses_are_reached(address: str, public: bool) -> None:
    """Also those that stand for a private one; what is allowed by name of its network may be."""
    parsed = ipaddress.ip_address(address)
    assert is_allowed(parsed, ()) == public
    assert is_allowed(parsed, networks_of([address]))


def test_a_network_that_is_none_is_told() -> None:
    """With the option's name."""
    with pytest.raises(BadSetting, match="--alerts-allow everything: no address or network"):
        networks_of(["everything"])


def posted(url: str, allowed: Any = LOOPBACK, **more: Any) -> Answer:
    """What comes of a trial alert to `url`."""
    file = AlertsFile(receiver=(receiver_of(url=url, **more),))
    return asyncio.run(try_receiver(file, "ops", allowed, BASE_NS))


def test_a_receiver_on_this_machine_must_be_allowed() -> None:
    """By whatever name it is called; nothing is connected to otherwise."""
    with hooked() as hook:
        named = hook.url.replace("127.0.0.1", "localhost")
        for url in (hook.url, named):
            answer = posted(url, ())
            assert answer.verdict == "later"
            assert "not public: allow it by --alerts-allow" in answer.message
        assert hook.posts == []
        assert posted(named).verdict == "taken"
        (post,) = hook.posts
        assert post.headers["host"] == named.split("/")[2]
        assert post.document["data"]["status"] == "test"


def test_all_addresses_that_are_allowed_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing listens, the next is asked; those that are not allowed never are."""
    known = [("::1", 6), ("192.0.2.1", 2), ("127.0.0.1", 2)]
    with hooked() as hook:
        named = hook.url.replace("127.0.0.1", "localhost")

        async def look_up(loop: Any, host: str, port: int, **asked: Any) -> list[Any]:
            family = {6: socket.AF_INET6, 2: socket.AF_INET}
            return [(family[of], 1, 6, "", (one, port)) for one, of in known if host != one]

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look_up)
        assert posted(named).verdict == "taken"
        assert posted(named, networks_of(["127.0.0.1"])).verdict == "taken"
        assert len(hook.posts) == 2
        assert "not public" in posted(named, networks_of(["10.0.0.0/8"])).message


def test_answers_are_understood() -> None:
    """A redirect leads to an address that nobody checked; who asks to wait is waited for."""
    with hooked() as hook:
        hook.answers += [(302, {"location": hook.url}), (429, {"retry-after": "17"}), 503, 400]
        answers = [posted(hook.url) for _ in range(4)]
        assert [one.verdict for one in answers] == ["refused", "later", "later", "refused"]
        assert "redirects are not followed" in answers[0].message
        assert answers[1].retry_after_s == 17
        assert len(hook.posts) == 4
        hook.hold.clear()
        late = posted(hook.url, timeout=span(0.2))
        assert (late.verdict, late.message) == ("later", "no answer within 0.2 s")


class Scripted:
    """A way to a receiver that gives these answers, then takes everything."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.heard: list[str] = []

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Callable[[bytes], Awaitable[Answer]]]:
        yield self.send

    async def send(self, body: bytes) -> Answer:
        """Note what came."""
        self.heard.append(body.decode())
        return self.answers.pop(0) if self.answers else Answer("taken")


def delivered(
    folder: Path, script: Callable[[], Scripted], bodies: list[str], give_up_ns: int = 10**15
) -> tuple[list[str], dict[str, tuple[int, int]]]:
    """What a receiver heard, and what is left, once nothing waits."""

    async def deliver() -> tuple[list[str], dict[str, tuple[int, int]]]:
        scripted = script()
        async with open_store(folder) as store:
            rows = [Outgoing(receiver="ops", key=one, body=one.encode()) for one in bodies]
            await store.advance({}, [], rows, BASE_NS)
            delivery = Delivery(
                "ops", store, scripted, give_up_ns=give_up_ns, clock=lambda: BASE_NS + 5,
                first_s=0.0,
            )  # fmt: skip
            task = asyncio.create_task(delivery.run())
            async with asyncio.timeout(60):
                while any(waiting for waiting, _ in (await store.waiting()).values()):
                    await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return scripted.heard, await store.waiting()

    return asyncio.run(deliver())


def test_notices_are_sent_in_order_until_they_are_taken(tmp_path: Path) -> None:
    """One that waits holds the later ones back: an end must not overtake its beginning."""
    later = Answer("later", "down")
    heard, left = delivered(tmp_path, lambda: Scripted(later, later, Answer("taken")), ["a", "b"])
    assert heard == ["a", "a", "a", "b"]
    assert left == {}


def test_what_is_refused_again_and_again_makes_way(tmp_path: Path) -> None:
    """It is given up and kept; what comes behind is delivered."""
    refused = [Answer("refused", "no")] * REFUSALS_LIMIT
    heard, left = delivered(tmp_path, lambda: Scripted(*refused), ["a", "b"])
    assert heard == ["a"] * REFUSALS_LIMIT + ["b"]
    assert left == {"ops": (0, 1)}


def test_a_receiver_that_stays_away_is_given_up(tmp_path: Path) -> None:
    """After the time that is set."""
    heard, left = delivered(tmp_path, lambda: Scripted(Answer("later", "x")), ["a", "b"], 5)
    assert heard == ["a", "b"]
    assert left == {"ops": (0, 1)}


def test_a_fault_that_nobody_foresaw_ends_no_delivery(tmp_path: Path) -> None:
    """It is said, and what it met is tried again."""

    class Faulty(Scripted):
        async def send(self, body: bytes) -> Answer:
            self.heard.append(body.decode())
            if len(self.heard) == 1:
                raise RuntimeError("nobody foresaw it")
            return Answer("taken")

    heard, left = delivered(tmp_path, Faulty, ["a", "b"])
    assert heard == ["a", "a", "b"]
    assert left == {}


def test_a_notice_of_another_release_makes_way(tmp_path: Path) -> None:
    """One that cannot be read is given up at once; what comes behind is delivered."""
    with hooked() as hook:
        receiver = receiver_of(url=hook.url)
        unreadable = Outgoing(receiver="ops", key="odd", body=b'{"status": "odd"}')
        rows = [unreadable, body_of()]

        async def deliver() -> dict[str, tuple[int, int]]:
            async with open_store(tmp_path) as store:
                await store.advance({}, [], rows, BASE_NS)
                sending = partial(sending_to, receiver, LOOPBACK)
                delivery = Delivery("ops", store, sending, give_up_ns=10**15)
                task = asyncio.create_task(delivery.run())
                async with asyncio.timeout(60):
                    while any(waiting for waiting, _ in (await store.waiting()).values()):
                        await asyncio.sleep(0.01)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                return await store.waiting()

        assert asyncio.run(deliver()) == {"ops": (0, 1)}
        assert hook.statuses() == ["firing"]


def test_an_alert_of_another_release_is_forgotten(tmp_path: Path) -> None:
    """The others are known; the list shows what can be read."""

    async def kept() -> dict[str, Alert]:
        async with open_store(tmp_path) as store:
            odd = msgspec.structs.replace(ALERT, id="b" * 32)
            changes: list[tuple[Any, Alert]] = [("fired", ALERT), ("fired", odd)]
            await store.advance({ALERT.id: ALERT, odd.id: odd}, changes, [], BASE_NS)
        with closing(sqlite3.connect(tmp_path / FILE)) as file, file:
            file.execute("UPDATE alert SET body = x'7b7d' WHERE id = ?", (odd.id,))
            file.execute("UPDATE history SET body = x'7b7d' WHERE id = 2")
        for path in ("alerts", "alerts/history"):
            assert len(msgspec.to_builtins(answer(tmp_path, path, {}, "default"))["items"]) == 1
        async with open_store(tmp_path) as store:
            await store.alerts()
            return await store.alerts()

    assert asyncio.run(kept()) == {ALERT.id: ALERT}


def test_a_notice_is_in_the_outbox_once(tmp_path: Path) -> None:
    """By its key, whoever puts it there."""
    heard, _ = delivered(tmp_path, Scripted, ["a", "a"])
    assert heard == ["a"]


def test_what_was_given_up_can_be_tried_again(tmp_path: Path) -> None:
    """The count says how many."""
    delivered(tmp_path, lambda: Scripted(Answer("later", "x")), ["a", "b"], 5)

    async def retried() -> tuple[int, dict[str, tuple[int, int]]]:
        async with open_store(tmp_path) as store:
            return await store.retry("ops", BASE_NS), await store.waiting()

    assert asyncio.run(retried()) == (1, {"ops": (1, 0)})


def test_a_transaction_that_is_cancelled_leaves_nothing_behind(tmp_path: Path) -> None:
    """Wherever it is interrupted, the next one works."""

    async def interrupted() -> None:
        async with open_store(tmp_path) as store:
            for steps in range(12):
                task = asyncio.create_task(
                    store.advance({ALERT.id: ALERT}, [("fired", ALERT)], [body_of()], BASE_NS)
                )
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await store.advance({ALERT.id: ALERT}, [], [], BASE_NS)
            assert await store.alerts() == {ALERT.id: ALERT}

    asyncio.run(interrupted())
