"""Templates, and how values are written in them."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import jinja2
import msgspec

from events.times import human_duration, rfc3339
from projections.query.times import human_age, human_bytes
from service.installation.version import VERSION
from service.web.links import Links, quoted
from service.web.ordering import Ordering
from service.web.statuses import kind_of

NAVIGATION: Final = (
    ("Overview", ""),
    ("Live", "live"),
    ("Tasks", "tasks"),
    ("Errors", "errors"),
    ("Alerts", "alerts"),
    ("Executors", "executors"),
    ("Health", "health"),
    ("Ledger", "ledger"),
)
"""Pages that every page leads to."""


@cache
def environment() -> jinja2.Environment:
    """The templates; made when first asked for, in a thread."""
    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("service.web"), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined, auto_reload=False,
    )  # fmt: skip
    pages.filters |= {
        "age": human_age,
        "as_": named_for,
        "bytes": human_bytes,
        "counted": counted,
        "cut": cut,
        "duration": human_duration,
        "kind": kind_of,
        "moment": moment,
        "number": number,
        "percent": percent,
        "quoted": quoted,
        "rfc3339": rfc3339,
        "short": short_number,
        "shown_value": shown_value,
        "words": lambda word: word.replace("_", " "),
    }
    pages.globals |= {
        "nav": NAVIGATION,
        "ordering": Ordering,
        "version": VERSION,
        "with_": with_,
        "without": without,
        "at": None, "who": None, "problem": None, "sought": None, "csrf": "", "theme": "",
    }  # fmt: skip
    return pages


def render(template: str, links: Links, values: Mapping[str, Any]) -> str:
    """The page of a template."""
    return environment().get_template(template).render(links=links, **values)


def shown_value(value: Any) -> str:
    """An attribute's value as text: lists and maps as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def number(value: float) -> str:
    """`1,234,567`."""
    return f"{value:,.0f}"


def counted(value: int, one: str, more: str = "") -> str:
    """`1 retry`, `1,234 retries`: a number and what it counts."""
    return f"{number(value)} {one if value == 1 else more or one + 's'}"


def short_number(value: float) -> str:
    """At most four characters and a letter: `950`, `12.3k`, `1.20M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            shown = value / size
            return f"{shown:.{0 if shown >= 100 else 1 if shown >= 10 else 2}f}{letter}"
    return f"{value:.0f}" if value == int(value) else f"{value:.2g}"


def percent(share: float) -> str:
    """`99.2 %`; what is not whole is never shown as 100 or 0."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    return f"{min(max(share, 0.0001), 0.9999):.2%}".replace("%", " %")


def moment(time_ns: int) -> str:
    """`2026-01-31 12:00:05.123 UTC`; a script shows it in the reader's zone."""
    text = rfc3339(time_ns) or str(time_ns)
    day, _, clock = text.rstrip("Z").partition("T")
    return f"{day} {clock[:12]} UTC"


def cut(text: str, characters: int) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: 2 * characters].split())
    return line if len(line) <= characters else f"{line[: characters - 1]}…"


def named_for(figures: dict[str, str], window: str, live: bool) -> dict[str, str]:
    """Figures of a window that is not kept up to date, under names of their own."""
    return figures if live else {f"{name}-{window}": text for name, text in figures.items()}


def with_(given: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Parameters with others added or replaced."""
    return type(given)({**given, **more})


def without(given: dict[str, Any], *names: str) -> dict[str, Any]:
    """Parameters but for some."""
    return type(given)((name, value) for name, value in given.items() if name not in names)
