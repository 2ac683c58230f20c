"""Forms: only our own pages may send them.

Each page leaves a random text in a cookie that other sites' requests do not carry (SameSite
Strict) and repeats it in its forms. A form counts if both are there and equal, and if the browser
says that it comes from our own origin.
"""

import hmac
import secrets
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from litestar import Request

from events.errors import BadInput
from service.access import cookies
from service.access.hosts import ForeignOrigin
from service.api.asking import require_own_page

FIELD: Final = "csrf"
_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 64


def secret_of(request: Request[Any, Any, Any]) -> str:
    """The text that forms of the answer must send back: the browser's, or a new one."""
    known = request.cookies.get(cookies.FORM, "")
    return known if len(known) == 43 and known.isascii() else secrets.token_urlsafe(32)


async def form_of(
    request: Request[Any, Any, Any], allowed_origins: Sequence[str] = ()
) -> dict[str, str]:
    """The fields of a form that one of our own pages sent; of several values the last.

    Raises:
        ForeignOrigin: another site made the browser send it, or the page is too old.
        BadInput: it is no form.
    """
    require_own_page(request, allowed_origins)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise BadInput(f"a form must be sent as {_FORM}")
    try:
        text = (await request.body()).decode("ascii")
        fields = dict(
            parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
        )
    except ValueError as exc:
        raise BadInput(f"the form cannot be read: {exc}") from exc
    known = request.cookies.get(cookies.FORM, "")
    if not known or not hmac.compare_digest(fields.pop(FIELD, "").encode(), known.encode()):
        raise ForeignOrigin(
            "this form is too old or not ours: load the page again and send it anew"
        )
    return fields
