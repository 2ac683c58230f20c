"""Tables as files for spreadsheets."""

import csv as writer
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar import Response

from service.web.visit import Table

LIMIT: Final = 1000
"""Rows of a file; `cursor` goes on in the next one."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


FORMS: Final = ("csv", "json")


def file_of(table: Table) -> Response[Any]:
    """The records of a table as a file: CSV, or the JSON that the API gives of them."""
    made, kind = (
        (msgspec.json.format(msgspec.json.encode(table.items), indent=1), "application/json")
        if table.form == "json"
        else (csv(table.items), "text/csv; charset=utf-8")
    )
    return Response(
        made, media_type=kind,
        headers={
            "content-disposition": f'attachment; filename="{table.name}.{table.form}"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        },
    )  # fmt: skip


def csv(items: Sequence[Any]) -> bytes:
    """Records, a line each; fields of fields have dotted names.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    rows = [dict(_flat("", msgspec.to_builtins(item))) for item in items]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    out = writer.DictWriter(text, columns, lineterminator="\r\n")
    out.writeheader()
    out.writerows(rows)
    return text.getvalue().encode()


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(f"{name}.{key}" if name else key, each)
    elif isinstance(value, list):
        yield name, _safe(" ".join(str(each) for each in value))
    else:
        yield name, _safe(value) if isinstance(value, str) else value


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
