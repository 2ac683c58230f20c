"""Who may do what, for which tenant: the tokens of a data folder.

`DIR/tokens.json` (mode 0600) holds a SHA-256 of each token, never the token: 256 random bits
need no slow hash. The file is replaced whole, and read again when it changed.
"""

import hashlib
import logging
import re
import secrets
import threading
import time
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

import msgspec

from events import names
from events.atomic_file import replace_file
from events.errors import BadInput, BadSetting, NotFound, Rejected, Unavailable
from service.control.locks import RoleLock

Scope = Literal["ingest", "read", "write", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
_INCLUDES: Final[dict[Scope, frozenset[Scope]]] = {
    "ingest": frozenset({"ingest"}),
    "read": frozenset({"read"}),
    "write": frozenset({"write", "read"}),  # who writes reads what became of it
    "admin": frozenset(SCOPES),
}
_PREFIX: Final = "spl_"  # lets scanners for leaked secrets know one
_BEARER: Final = "bearer "
_OWN_NAMES: Final = frozenset({
    names.ACTOR_LOCAL, names.ACTOR_WATCHER, names.ACTOR_START, names.ACTOR_SIGHUP,
    names.ACTOR_ALERTS, names.OWN_NAMESPACE,
})  # fmt: skip
_is_tenant = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_log = logging.getLogger(__name__)


class Unauthenticated(Rejected):
    """There is no token, or nobody made this one."""


class Forbidden(Rejected):
    """The token is known and may not do this."""


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One token as stored. `tenant` None: any tenant."""

    name: str
    scope: Scope
    tenant: str | None
    sha256: str
    created_ns: int


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tokens: tuple[Token, ...] = ()


def check_tenant(name: str) -> str:
    """`name`, if it can name a tenant.

    Raises:
        BadInput: it cannot.
    """
    if not _is_tenant(name):
        raise BadInput(f"not a tenant: {name[:80]!r}; allowed are 1 to 64 of A-Z a-z 0-9 . _ -")
    return name


class Admission(NamedTuple):
    """Who is let in: for which tenant, whether to that one only, and by which token (its name;
    None where none is needed)."""

    tenant: str
    is_bound: bool
    token: str | None


class TokenStore:
    """The tokens of `path`; safe for any number of threads.

    Args:
        open_without_tokens: as long as there is no token at all, let everybody in. Right for a
            service that only this machine can reach.
    """

    def __init__(self, path: Path, *, open_without_tokens: bool = True) -> None:
        self._path = path
        self._open = open_without_tokens
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = (0, 0, 0)
        self._tokens: dict[str, Token] = {}

    def authorize(self, bearer: str | None, scope: Scope, tenant: str | None) -> str:
        """The tenant that a request acts for; see `admit`."""
        return self.admit(bearer, scope, tenant).tenant

    def admit(self, bearer: str | None, scope: Scope, tenant: str | None) -> Admission:
        """Who sends a request, if it may.

        Args:
            bearer: the token, or a whole `authorization` header.
            tenant: the one the request names, if it names one.

        Raises:
            Unauthenticated: there are tokens, and this is none of them.
            Forbidden: the token has another scope or is bound to another tenant.
            BadInput: `tenant` can be none.
            Unavailable: the tokens cannot be read now, so nobody is let in.
        """
        if tenant is not None:
            check_tenant(tenant)
        tokens = self._current()
        if not tokens and self._open:
            return Admission(tenant or names.DEFAULT_TENANT, False, None)
        token = tokens.get(_digest(_bare(bearer))) if bearer else None
        if token is None:
            what = "unknown token" if bearer else f"a token with scope {scope} is needed"
            raise Unauthenticated(f"{what}; send `authorization: Bearer TOKEN`")
        if scope not in _INCLUDES[token.scope]:
            raise Forbidden(f"token {token.name} has scope {token.scope}, this needs {scope}")
        if token.tenant is not None and tenant not in (None, token.tenant):
            raise Forbidden(f"token {token.name} is bound to another tenant than {tenant}")
        acts_for = token.tenant or tenant or names.DEFAULT_TENANT
        return Admission(acts_for, token.tenant is not None, token.name)

    def is_open(self) -> bool:
        """Whether everybody is let in: there are no tokens, and none are asked for."""
        return self._open and not self._current()

    def list(self) -> tuple[Token, ...]:
        """All tokens, in order of creation.

        Raises:
            BadSetting: the file is no list of tokens.
        """
        return _read(self._path).tokens

    def add(self, name: str, scope: Scope, tenant: str | None = None) -> str:
        """Make a token and return it; it cannot be shown again.

        Raises:
            BadInput: the name is taken, empty or one of our own, or the tenant can be none.
        """
        if not name or not name.isprintable():
            raise BadInput("a token needs a name that can be printed")
        if name.strip().casefold() in _OWN_NAMES:
            raise BadInput(
                f"a token cannot be named {name}: facts that Spanledger says itself bear that name"
            )
        if tenant is not None:
            check_tenant(tenant)
        secret = _PREFIX + secrets.token_urlsafe(32)
        with self._changing():
            tokens = self.list()
            if any(token.name == name for token in tokens):
                raise BadInput(f"a token named {name} exists; revoke it first")
            made = Token(name, scope, tenant, _digest(secret), time.time_ns())
            self._write((*tokens, made))
        return secret

    def revoke(self, name: str) -> None:
        """Forget a token; a running service refuses it from now on.

        Raises:
            NotFound: no token has this name.
        """
        with self._changing():
            tokens = self.list()
            kept = tuple(token for token in tokens if token.name != name)
            if len(kept) == len(tokens):
                raise NotFound(f"no token named {name}")
            self._write(kept)

    def _changing(self) -> RoleLock:
        return RoleLock(self._path.parent, "tokens", wait_s=5.0)

    def _write(self, tokens: tuple[Token, ...]) -> None:
        body = msgspec.json.format(msgspec.json.encode(_File(tokens)), indent=2)
        replace_file(self._path, body + b"\n", mode=0o600)

    def _current(self) -> dict[str, Token]:
        """The tokens as they are now.

        Raises:
            Unavailable: the file changed and cannot be read. A token may have been revoked, so
                none counts until it can; each request tries again.
        """
        try:
            seen = self._identity()
            if seen == self._seen:
                return self._tokens
            with self._lock:
                # The identity was taken before the content: a change in between is seen next time.
                self._tokens = {token.sha256: token for token in _read(self._path).tokens}
                self._seen = seen
                return self._tokens
        except (BadSetting, OSError) as exc:
            _log.error("tokens unreadable", extra={"action": "tokens", "error": str(exc)})
            raise Unavailable(f"the tokens cannot be read, so nobody is let in: {exc}") from exc

    def _identity(self) -> tuple[int, int, int] | None:
        """What changes when the file is replaced; None without one."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size


def _read(path: Path) -> _File:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError:
        return _File()
    except (OSError, msgspec.MsgspecError) as exc:
        raise BadSetting(f"{path} is no list of tokens: {exc}") from exc


def _bare(bearer: str) -> str:
    return bearer[len(_BEARER) :].strip() if bearer[:7].lower() == _BEARER else bearer.strip()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
