"""Commands of lists, made of the questions and tables that the views declare."""

from typing import Annotated, Any, Literal, get_args, get_type_hints

import pytest
import typer.main
from msgspec import Meta

from events.times import parse_rfc3339
from projections import views
from projections.endpoints import ENDPOINTS
from projections.query.parameters import ListQuestion, Since
from projections.query.table import Table
from service.cli.filters import filters_of, options_of
from service.cli.main import app

TABLES = list(views.tables())


class Question(ListQuestion, frozen=True, kw_only=True):
    """A question with one parameter of each kind."""

    name: Annotated[str, Meta(description="Only this name.")] | None = None
    since: Since | None = None
    live_only: Annotated[bool, Meta(description="Live.", extra={"negative": "past"})] | None = None
    level: Annotated[Literal["low", "high"], Meta(description="How high.")] = "low"


def options(**given: Any) -> Any:
    """The options of `Question` as the command line gives them."""
    return options_of(Question)(**given)


def test_only_what_is_given_is_asked() -> None:
    """A parameter that is left out has the question's own default; the limit is the command's."""
    assert filters_of(options())() == {"limit": 50}
    assert filters_of(options(name="x", live_only=False))() == {
        "name": "x", "live_only": False, "limit": 50,
    }  # fmt: skip


def test_ages_are_resolved_each_time() -> None:
    """`1h` is an hour before the question is asked, not before the command began."""
    ask = filters_of(options(since="1h"))
    first, second = (parse_rfc3339(ask()["since"]) for _ in range(2))
    assert first < second


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_list_is_asked_by_every_parameter_of_its_question(table: Table) -> None:
    """The command has an option for each, and no other filter."""
    (endpoint,) = (one for one in ENDPOINTS if one.path == table.path)
    command: Any = typer.main.get_command(app)
    given = {parameter.name for parameter in command.get_command(None, table.name).params}
    assert set(endpoint.asks.__struct_fields__) - {"wait_s"} <= given


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_are_fields_of_the_answer(table: Table) -> None:
    """No column shows what the answer does not have."""
    (endpoint,) = (one for one in ENDPOINTS if one.path == table.path)
    of_page = get_args(endpoint.answers)  # some lists are records of their own
    (record,) = of_page or get_args(get_type_hints(endpoint.answers)["items"])
    assert {column.field.split(".")[0] for column in table.columns} <= set(record.__struct_fields__)
