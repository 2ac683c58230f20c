"""The OpenAPI 3.1 document, made from the records that questions and answers are."""

import re
from importlib import metadata
from typing import Any, Final

import msgspec

from projections.endpoints import ENDPOINTS
from projections.policies.asking import DecideQuestion
from projections.query.endpoint import Endpoint
from projections.query.status import LogHead
from service.alerts.questions import ENDPOINTS as ALERTS
from service.alerts.questions import AlertsEndpoint
from service.api.deciding import DECIDE, POLICIES, PoliciesInForce
from service.api.events import PATH as EVENTS_PATH
from service.api.events import EventsQuestion
from service.api.percepts import PATH as PERCEPTS_PATH
from service.api.percepts import PerceptsFeed
from service.api.problems import MEDIA_TYPE, Problem
from service.api.routes import PREFIX
from service.api.writes import WRITES, Write, Written
from service.append.facts import KEY_CHARACTERS
from service.policies.deciding import Decided

REF: Final = "#/components/schemas/{name}"
_DESCRIPTION: Final = """\
What Spanledger knows of tasks, their runs, attempts and errors.

Lists answer `{"items": […], "next": cursor or null, "position": …}`. Pass `next` as `cursor` to
go on. `complete: false` says that the time budget ended; going on with `next` searches further.
Errors are `application/problem+json` (RFC 9457). Times are RFC 3339 and, in fields that end in
`_ns`, integer nanoseconds since 1970 UTC."""
_TENANT: Final = {
    "name": "X-Scope-OrgID",
    "in": "header",
    "required": False,
    "description": "Tenant; `default` if absent, or the one that the token is bound to.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
}

_EVENTS: Final = (
    "The log as it grows (server-sent events). `id` is the position; a `gap` event names the "
    "positions that a client too far behind misses."
)
_PERCEPTS: Final = (
    "Finished runs as their ends are told, each with a score of novelty and its reasons "
    "(server-sent events). `id` is the position."
)
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes it one fact, however often it is sent: within tenant, kind and subject.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS},
}
_WRITE_PROBLEMS: Final = ("400", "401", "403", "409", "413", "415", "503")


def document() -> dict[str, Any]:
    """The whole document."""
    answers = [endpoint.answers for endpoint in ENDPOINTS] + [LogHead, Problem]
    answers += [PoliciesInForce, Decided, DecideQuestion]
    answers += [Written, *(write.takes for write in WRITES)]
    refs, components = msgspec.json.schema_components(answers, ref_template=REF)
    paths = {
        f"{PREFIX}/{endpoint.path}": {"get": _operation(endpoint, ref)}
        for endpoint, ref in zip(ENDPOINTS, refs, strict=False)
    }
    head, _, policies, decided, failure, written, *bodies = refs[len(ENDPOINTS) :]
    for write, body in zip(WRITES, bodies, strict=True):
        paths.setdefault(f"{PREFIX}/{write.path}", {})["post"] = _writing(write, body, written)
    paths |= _alerts_paths(components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Spanledger",
            "version": metadata.version("spanledger"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths | _policy_paths(policies, decided, failure) | _system_paths(head),
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _alerts_paths(components: dict[str, Any]) -> dict[str, Any]:
    answers = [endpoint.answers for endpoint in ALERTS]
    refs, own = msgspec.json.schema_components(answers, ref_template=REF)
    components |= own
    return {
        f"{PREFIX}/{endpoint.path}": {"get": _operation(endpoint, ref)}
        for endpoint, ref in zip(ALERTS, refs, strict=True)
    }


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The document's operations with their path, for the readable page."""
    return [
        {"path": path, "verb": verb.upper(), "id": operation["operationId"], **operation}
        for path, item in document["paths"].items()
        for verb, operation in item.items()
    ]


def _arguments(path: str, description: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": description,
            "schema": {"type": "string"},
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _operation(endpoint: Endpoint | AlertsEndpoint, ref: dict[str, Any]) -> dict[str, Any]:
    arguments = _arguments(endpoint.path, getattr(endpoint, "argument", ""))
    return {
        "operationId": _identifier(endpoint.path),
        "tags": [endpoint.path.split("/")[0]],
        "summary": endpoint.summary,
        "parameters": [*arguments, *_parameters(endpoint.asks), _TENANT],
        "responses": _answers(_content("application/json", ref), "400", "401", "403", "404", "503"),
    }


def _writing(write: Write, body: dict[str, Any], written: dict[str, Any]) -> dict[str, Any]:
    problems = (*_WRITE_PROBLEMS, "404") if write.about else _WRITE_PROBLEMS
    answers = _answers(_content("application/json", written), *problems)
    return {
        "operationId": f"write_{_identifier(write.path)}",
        "tags": [write.path.split("/")[0]],
        "summary": write.summary,
        "parameters": [
            *_arguments(write.path, "What it is about."),
            _IDEMPOTENCY_KEY,
            _TENANT,
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"201": answers.pop("200"), **answers},
    }


def _parameters(question: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """The query parameters that a question's fields are."""
    (_,), components = msgspec.json.schema_components([question], ref_template=REF)
    found = []
    for name, schema in components[question.__name__]["properties"].items():
        shown = {k: v for k, v in schema.items() if k != "anyOf" and (k, v) != ("default", None)}
        for option in schema.get("anyOf", ()):
            if option != {"type": "null"}:
                shown |= option
        parameter = {"name": name, "in": "query", "required": False, "schema": shown}
        if description := shown.pop("description", None):
            parameter["description"] = description
        found.append(parameter)
    return found


def _system_paths(head: dict[str, Any]) -> dict[str, Any]:
    health = {
        "type": "object",
        "properties": {
            "status": {"type": "string"},
            "missing": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["status"],
    }
    text = {"type": "string"}
    open_: dict[str, Any] = {"security": [{}]}
    json = "application/json"
    head_answers = _answers(_content(json, head), "400", "401", "403", "503")
    ready_answers = _answers(_content(json, health), "400", "503")
    metrics_answers = _answers(_content("text/plain", text), "400", "401", "403")
    return {
        f"{PREFIX}/{EVENTS_PATH}": {"get": _stream(EVENTS_PATH, _EVENTS, EventsQuestion)},
        f"{PREFIX}/{PERCEPTS_PATH}": {"get": _stream(PERCEPTS_PATH, _PERCEPTS, PerceptsFeed)},
        f"{PREFIX}/log/head": {"get": _simple("log/head", "The end of the log.", head_answers)},
        f"{PREFIX}/health/live": {
            "get": _simple(
                "health/live", "The process answers.", _answers(_content(json, health), "400")
            ) | open_
        },
        f"{PREFIX}/health/ready": {
            "get": _simple(
                "health/ready",
                "Receiver, writer and projector answer and the views are there.",
                ready_answers,
            ) | open_
        },
        "/metrics": {
            "get": _simple("metrics", "Prometheus metrics of all processes.", metrics_answers)
        },
    }  # fmt: skip


def _policy_paths(
    policies: dict[str, Any], decided: dict[str, Any], failure: dict[str, Any]
) -> dict[str, Any]:
    json = "application/json"
    told = _answers(_content(json, policies), "400", "401", "403")
    shown = _simple(POLICIES, "The policies in force, the strongest rule first.", told)
    deciding = _simple(
        DECIDE, "What is to be done about a failed attempt: again or not, when, how often.",
        _answers(_content(json, decided), "400", "401", "403", "413", "415", "503"),
    )  # fmt: skip
    deciding["parameters"] = [_TENANT]
    deciding["requestBody"] = {"required": True, "content": {json: {"schema": failure}}}
    return {
        f"{PREFIX}/{POLICIES}": {"get": shown},
        f"{PREFIX}/{DECIDE}": {"post": deciding},
    }


def _stream(path: str, summary: str, asks: type[msgspec.Struct]) -> dict[str, Any]:
    content = _content("text/event-stream", {"type": "string"})
    answers = _answers(content, "400", "401", "403", "429", "503")
    stream = _simple(path, summary, answers)
    stream["parameters"] = [
        *_parameters(asks),
        {
            "name": "Last-Event-ID",
            "in": "header",
            "required": False,
            "description": "Go on after this position; clients send it by themselves.",
            "schema": {"type": "string"},
        },
        _TENANT,
    ]
    return stream


def _simple(path: str, summary: str, answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": _identifier(path if path != "metrics" else "prometheus"),
        "tags": [path.split("/", maxsplit=1)[0] if path != "metrics" else "prometheus"],
        "summary": summary,
        "parameters": [],
        "responses": answers,
    }


def _identifier(path: str) -> str:
    return re.sub(r"\W+", "_", path).strip("_")


def _content(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": "The answer", "content": {media_type: {"schema": schema}}}


def _answers(good: dict[str, Any], *problems: str) -> dict[str, Any]:
    return {"200": good, **{status: _problem(status) for status in problems}}


def _problem(status: str) -> dict[str, Any]:
    means = {
        "400": "A parameter, cursor or position is wrong",
        "401": "A token is needed",
        "403": "The token does not allow it",
        "404": "Nothing of that name, or no such view",
        "409": "The idempotency key stands for something else, at `position`",
        "413": "The body is too large",
        "415": "The body is not said to be JSON",
        "429": "Too many streams are open; `Retry-After` says when to ask again",
        "503": "Not now; `Retry-After` says when to ask again",
    }
    schema = {"$ref": REF.format(name=Problem.__name__)}
    return {"description": means[status], "content": {MEDIA_TYPE: {"schema": schema}}}
