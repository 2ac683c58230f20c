"""Tokens: what is let in, for which tenant, and what is kept of them."""

import stat
from pathlib import Path

import pytest

from events.errors import BadInput, BadSetting, NotFound
from service.access.tokens import Forbidden, TokenStore, Unauthenticated, check_tenant


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "tokens.json")


def test_open_without_tokens(store: TokenStore) -> None:
    """As long as there is none, everybody on this machine is let in, for any tenant."""
    assert store.authorize(None, "admin", None) == "default"
    assert store.authorize(None, "read", "team-a") == "team-a"


def test_closed_without_tokens_elsewhere(tmp_path: Path) -> None:
    """A service that others can reach stays closed when its last token is revoked."""
    store = TokenStore(tmp_path / "tokens.json", open_without_tokens=False)
    with pytest.raises(Unauthenticated):
        store.authorize(None, "read", None)


def test_scopes(store: TokenStore) -> None:
    """A token does what its scope says, and admin does all."""
    ingest, admin = store.add("a", "ingest"), store.add("b", "admin")
    assert store.authorize(ingest, "ingest", None) == "default"
    assert store.authorize(f"Bearer {admin}", "read", "x") == "x"
    with pytest.raises(Forbidden, match="has scope ingest, this needs read"):
        store.authorize(ingest, "read", None)
    for wrong in (None, "", "spl_wrong", "Basic x"):
        with pytest.raises(Unauthenticated):
            store.authorize(wrong, "ingest", None)


def test_bound_to_a_tenant(store: TokenStore) -> None:
    """A bound token acts for its tenant, named or not, and for no other."""
    token = store.add("a", "read", "team-a")
    assert store.authorize(token, "read", None) == "team-a"
    assert store.authorize(token, "read", "team-a") == "team-a"
    with pytest.raises(Forbidden):
        store.authorize(token, "read", "default")


def test_changes_are_seen_while_running(store: TokenStore, tmp_path: Path) -> None:
    """What another process adds or revokes counts at once."""
    other = TokenStore(tmp_path / "tokens.json")
    assert store.authorize(None, "read", None) == "default"
    token = other.add("a", "read")
    assert store.authorize(token, "read", None) == "default"
    other.add("b", "read")
    other.revoke("a")
    with pytest.raises(Unauthenticated):
        store.authorize(token, "read", None)


def test_only_a_digest_is_kept(store: TokenStore, tmp_path: Path) -> None:
    """The file holds no token and is for its owner only."""
    token = store.add("a", "read")
    path = tmp_path / "tokens.json"
    assert token not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_names_are_unique(store: TokenStore) -> None:
    """A name can be used again only after it was revoked."""
    store.add("a", "read")
    with pytest.raises(BadInput, match="exists"):
        store.add("a", "admin")
    store.revoke("a")
    with pytest.raises(NotFound):
        store.revoke("a")
    store.add("a", "admin")


def test_unreadable_file_lets_nobody_new_in(store: TokenStore, tmp_path: Path) -> None:
    """A damaged file closes the door; those who had a token keep it."""
    token = store.add("a", "read")
    store.authorize(token, "read", None)
    (tmp_path / "tokens.json").write_text("{")
    assert store.authorize(token, "read", None) == "default"
    with pytest.raises(Unauthenticated):
        TokenStore(tmp_path / "tokens.json").authorize(None, "read", None)
    with pytest.raises(BadSetting):
        store.list()


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "ä", "a\n"])
def test_tenants_that_cannot_be(name: str, store: TokenStore) -> None:
    """A tenant's name stays harmless everywhere."""
    with pytest.raises(BadInput):
        check_tenant(name)
    with pytest.raises(BadInput):
        store.authorize(None, "read", name)
