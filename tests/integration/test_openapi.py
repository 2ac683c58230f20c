"""The OpenAPI document: valid, complete, and true of what is answered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.access.tokens import TokenStore
from service.api.app import create_app
from service.api.openapi import operations
from service.configuration.settings import Settings
from tests.api_service import everyone_answers, serving
from tests.events import make_batch, make_exception, make_span, trace_id
from tests.views import make_folder


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the API on one failed attempt."""
    span = make_span(trace_id=trace_id(1 << 41), status_code=2, events=[make_exception()])
    with serving(make_folder(tmp_path_factory.mktemp("api"), [make_batch([span])])) as client:
        yield client


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    """The document as served."""
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    """OpenAPI 3.1, by the validator."""
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")


def test_every_route_is_described(document: dict[str, Any], tmp_path: Path) -> None:
    """All paths of the application but the pages for people are in the document."""
    tokens = TokenStore(tmp_path / "tokens.json")
    app = create_app(Settings(data=tmp_path), tokens, probe=everyone_answers)
    routes = {route.path_format for route in app.routes}
    asked = {route for route in routes if route.startswith(("/api/", "/metrics"))}
    assert asked == set(document["paths"])


def test_every_parameter_and_field_says_what_it_is(document: dict[str, Any]) -> None:
    """Each parameter has a description, each record a sentence."""
    for operation in operations(document):
        assert operation["summary"], operation["path"]
        for parameter in operation["parameters"]:
            if parameter["name"] not in ("status",):
                assert parameter.get("description"), (operation["path"], parameter["name"])
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description"), name


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/api/v1/tasks", None),
        ("/api/v1/tasks/{task_id}", "/api/v1/tasks/task-1"),
        ("/api/v1/tasks/{task_id}/runs", "/api/v1/tasks/task-1/runs"),
        ("/api/v1/runs", None),
        ("/api/v1/attempts", None),
        ("/api/v1/traces/{trace_id}", f"/api/v1/traces/{trace_id(1 << 41).hex()}"),
        ("/api/v1/errors", None),
        ("/api/v1/metrics/tasks", None),
        ("/api/v1/history", None),
        ("/api/v1/projections", None),
        ("/api/v1/log/head", None),
    ],
)
def test_answers_have_the_shape_that_is_promised(
    client: httpx.Client, document: dict[str, Any], template: str, path: str | None
) -> None:
    """Each answer passes its own schema."""
    answer = client.get(path or template)
    assert answer.status_code == 200, answer.text
    content = document["paths"][template]["get"]["responses"]["200"]["content"]
    schema = {**content["application/json"]["schema"], "components": document["components"]}
    OAS31Validator(schema).validate(answer.json())


def test_the_page_shows_every_path(client: httpx.Client, document: dict[str, Any]) -> None:
    """The readable page has each path, parameter and record."""
    page = client.get("/docs").text
    for operation in operations(document):
        assert operation["path"] in page
        assert all(parameter["name"] in page for parameter in operation["parameters"])
    assert all(name in page for name in document["components"]["schemas"])


def test_every_status_word_is_offered(document: dict[str, Any]) -> None:
    """A list's `status` parameter names each word that its records may have."""
    for path, words in (("attempts", "failed unknown"), ("runs", "failed queued"),
                        ("tasks", "failed queued todo")):  # fmt: skip
        parameters = document["paths"][f"/api/v1/{path}"]["get"]["parameters"]
        (status,) = (p["schema"] for p in parameters if p["name"] == "status")
        assert set(words.split()) <= set(status["enum"])
