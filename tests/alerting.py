"""Attempts that ended a while ago, in views, for tests of alerts."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from events import names
from events.log.reader import open_reader
from events.log.socket import DoorClient
from events.schema import Context, Span
from projections.errors.verdicts import Verdicts
from projections.query.reading import Views
from service.alerts.engine import Engine, open_engine
from service.alerts.findings import Finding, findings
from service.alerts.rule import Rule
from service.alerts.samples import Samples
from service.alerts.sending.guard import networks_of
from service.append.appender import Appender
from service.configuration.settings import Settings
from tests import otlp
from tests.events import BASE_NS, SECOND_NS, make_batch, make_context, make_exception, make_span
from tests.hooks import Hook
from tests.serving import Service
from tests.views import make_folder
from tests.writers import Writer

NOW_NS = BASE_NS + 3_600 * SECOND_NS
FAILED = 2
RECEIVER = """
[[receiver]]
name = "{name}"
type = "webhook"
url = "{url}"
secret = "a secret of many letters"
"""


def tried(
    task: str, ago_s: float, *, lasting_s: float = 1.0, ok: bool = False, run: str | None = None,
    error: str = "ValueError", most: int | None = None, now_ns: int = NOW_NS, **changes: Any,
) -> Span:  # fmt: skip
    """An attempt that ended so long before `now_ns`, failed unless `ok`."""
    end_ns = now_ns - int(ago_s * SECOND_NS)
    given = dict(changes.pop("attributes", {}))
    if most is not None:
        given[names.TASK_MAX_ATTEMPTS] = most
    return make_span(
        task=task, run=run or f"{task}-{ago_s}", attributes=given, end_ns=end_ns,
        start_ns=end_ns - int(lasting_s * SECOND_NS), status_code=0 if ok else FAILED,
        events=[] if ok else [make_exception(error, f"{error} of {task}")], **changes,
    )  # fmt: skip


@contextmanager
def sampled(
    folder: Path, spans: Sequence[Span], *, now_ns: int = NOW_NS, context: Context | None = None
) -> Iterator[Samples]:
    """The views of these attempts."""
    batch = make_batch(spans, context=context or make_context())
    data = make_folder(folder / "data", [batch])
    views = Views(data)
    with closing(views), closing(open_reader(data)) as log, views.read() as connection:
        yield Samples(connection, log, Verdicts(), now_ns)


def found(folder: Path, spans: Sequence[Span], rule: Rule, **more: Any) -> list[Finding]:
    """What a rule finds in them."""
    with sampled(folder, spans, **more) as samples:
        return findings(rule, samples)


def send_failure(service: Service, task: str, run: str, *, ok: bool = False) -> None:
    """A run of one attempt that ended just now, and had no other to come."""
    end_ns = time.time_ns()
    attributes = {names.TASK_ID: task, names.TASK_RUN_ID: run, names.TASK_MAX_ATTEMPTS: 1}
    span = otlp.make_span(
        trace_id=os.urandom(16), span_id=os.urandom(8), name=task, attributes=attributes,
        start_time_unix_nano=end_ns - SECOND_NS, end_time_unix_nano=end_ns,
        status=Status(code=Status.STATUS_CODE_OK if ok else Status.STATUS_CODE_ERROR),
    )  # fmt: skip
    body = otlp.traces(span).SerializeToString()
    headers = {"content-type": "application/x-protobuf"}
    httpx.post(
        f"http://{service.http}/v1/traces",
        content=body,
        headers=headers,
        trust_env=False,
        timeout=60,
    ).raise_for_status()


class Time:
    """A clock that is moved."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def __call__(self) -> int:
        return self.now_ns


@asynccontextmanager
async def running(data: Path, clock: Time) -> AsyncIterator[Engine]:
    """An engine on a folder with views, and a door to its log."""
    appender = Appender(Settings(data=data), lambda: DoorClient(writer.path))
    with closing(Writer(data)) as writer:
        async with open_engine(
            data, data / "alerts.toml", appender, networks_of(["127.0.0.1"]), clock
        ) as engine:
            stop = asyncio.Event()
            task = asyncio.create_task(engine.run(stop))
            try:
                yield engine
            finally:
                stop.set()
                async with asyncio.timeout(60):
                    await task


def receivers(*hooks: Hook) -> str:
    """The lines of a file that name them `hook0`, `hook1`, …"""
    return "".join(RECEIVER.format(name=f"hook{n}", url=hook.url) for n, hook in enumerate(hooks))


async def heard(hook: Hook, count: int) -> list[Any]:
    """The first documents that came."""
    posts = await asyncio.to_thread(hook.wait, count)
    return [post.document for post in posts]
