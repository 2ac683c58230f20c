"""Tokens: what is let in, for which tenant, and what is kept of them."""

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from events.errors import BadInput, BadSetting, NotFound, Unavailable
from service.access.tokens import Admission, Forbidden, TokenStore, Unauthenticated, check_tenant


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


def test_an_unreadable_file_lets_nobody_in(store: TokenStore, tmp_path: Path) -> None:
    """A damaged file closes the door, to those with a token too: it may have been revoked."""
    token = store.add("a", "read")
    store.authorize(token, "read", None)
    content = (tmp_path / "tokens.json").read_text()
    (tmp_path / "tokens.json").write_text("{")
    for bearer in (token, None):
        with pytest.raises(Unavailable, match="nobody is let in"):
            store.authorize(bearer, "read", None)
    with pytest.raises(Unavailable):
        TokenStore(tmp_path / "tokens.json").authorize(None, "read", None)
    with pytest.raises(BadSetting):
        store.list()
    (tmp_path / "tokens.json").write_text(content)
    assert store.authorize(token, "read", None) == "default"


@contextmanager
def no_more_files() -> Iterator[None]:
    """No file can be opened in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_revoked_token_stays_out_if_the_file_cannot_be_read(
    store: TokenStore, tmp_path: Path
) -> None:
    """Out of descriptors at the wrong moment: all are told to come again, then the rest may."""
    other = TokenStore(tmp_path / "tokens.json")
    revoked, kept = other.add("a", "read"), other.add("b", "read")
    assert store.authorize(revoked, "read", None) == "default"
    with no_more_files():
        assert store.authorize(revoked, "read", None) == "default"  # nothing changed
    other.revoke("a")
    with no_more_files():
        for token in (revoked, kept):
            with pytest.raises(Unavailable):
                store.authorize(token, "read", None)
    assert store.authorize(kept, "read", None) == "default"
    with pytest.raises(Unauthenticated):
        store.authorize(revoked, "read", None)


def test_who_is_let_in_is_known_by_name(store: TokenStore) -> None:
    """The token's name, and whether it is bound; nobody's where none is needed."""
    assert store.admit(None, "read", "x") == Admission("x", False, None)
    bound, free = store.add("a", "read", "team-a"), store.add("b", "admin")
    assert store.admit(bound, "read", None) == Admission("team-a", True, "a")
    assert store.admit(free, "read", "x") == Admission("x", False, "b")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "ä", "a\n"])
def test_tenants_that_cannot_be(name: str, store: TokenStore) -> None:
    """A tenant's name stays harmless everywhere."""
    with pytest.raises(BadInput):
        check_tenant(name)
    with pytest.raises(BadInput):
        store.authorize(None, "read", name)


@pytest.mark.parametrize("name", ["local", "watcher", "spanledger", " Watcher "])
def test_nobody_poses_as_us(name: str, store: TokenStore) -> None:
    """A token's name is who says a fact: ours are taken."""
    with pytest.raises(BadInput, match="bear that name"):
        store.add(name, "write")
    assert store.list() == ()
