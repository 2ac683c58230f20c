"""Names of the cookies by which a browser says who it is.

A browser sends cookies by itself, also with what a page of another site made it send. So for
requests that change something a cookie counts only together with a form's own secret
(`service.web.forms`); the API's writes want the header.
"""

from typing import Final

TOKEN: Final = "spanledger_token"
"""Holds the token itself, given once on the sign-in page; no script can read it."""
TENANT: Final = "spanledger_tenant"
"""The tenant that is looked at, for tokens that may see several."""
FORM: Final = "spanledger_form"
"""A random text that forms must send back."""
THEME: Final = "spanledger_theme"
"""`light` or `dark`, if the reader chose; written by the pages' script."""
