"""Which hosts and origins are answered, and what of a proxy's headers is believed."""

from typing import Any

import pytest

from events.errors import BadInput, BadSetting
from service.access.hosts import ForeignOrigin, Hosts, UnknownHost, require_own_origin
from service.access.proxies import Proxies

OWN = [
    "localhost", "LOCALHOST", "localhost.", "localhost:8000", "Localhost.:8000", "app.localhost",
    "127.0.0.1", "127.0.0.1:8000", "127.8.9.10", "[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]:80",
    "[::ffff:127.0.0.1]", " localhost ",
]  # fmt: skip
FOREIGN = [
    "", "attacker.example", "attacker.example:8000", "localhost.attacker.example", "10.0.0.1",
    "127.0.0.1.attacker.example", "notlocalhost", "[::2]", "0.0.0.0", "localhost@attacker.example",
    "attacker.example#localhost", "localhost/x", "localhost:80:80", "localhost:port", "[::1",
    "lo\xfflhost",
]  # fmt: skip


def headers(*hosts: str) -> list[tuple[bytes, bytes]]:
    """Of a request to these hosts."""
    return [(b"host", host.encode("latin-1")) for host in hosts]


@pytest.mark.parametrize("host", OWN)
def test_loopback_names_are_ours(host: str) -> None:
    """In any case, with and without port, brackets and a dot at the end, whatever is set."""
    Hosts((), lambda: True).check(headers(host))
    Hosts(("ops.example",), lambda: False).check(headers(host))


@pytest.mark.parametrize("host", FOREIGN)
def test_other_hosts_are_refused_where_there_are_no_tokens(host: str) -> None:
    """The message names the host and the setting; with tokens any host is right."""
    with pytest.raises(UnknownHost, match="--allowed-hosts") as caught:
        Hosts((), lambda: True).check(headers(host))
    assert repr(host) in str(caught.value)
    Hosts((), lambda: False).check(headers(host))
    Hosts(("*",), lambda: True).check(headers(host))


@pytest.mark.parametrize(
    ("allowed", "host", "ours"),
    [
        ("ops.example", "OPS.example.", True), ("ops.example", "ops.example:81", True),
        ("ops.example", "x.ops.example", False), ("*.ops.example", "x.ops.example", True),
        ("*.ops.example", "ops.example", False), ("ops.example:81", "ops.example:81", True),
        ("ops.example:81", "ops.example", False), ("ops.example:81", "ops.example:82", False),
        ("[fd00::1]", "[fd00::1]:8000", True), ("10.1.2.3", "10.1.2.3:8000", True),
        ("10.1.2.3", "10.1.2.4", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_open", [True, False])
def test_names_are_allowed_by_setting(allowed: str, host: str, ours: bool, is_open: bool) -> None:
    """With names given, only they and loopback are right, tokens or not."""
    hosts = Hosts((allowed,), lambda: is_open)
    if ours:
        hosts.check(headers(host))
    else:
        with pytest.raises(UnknownHost):
            hosts.check(headers(host))


@pytest.mark.parametrize("names", [(), ("localhost", "localhost"), ("localhost", "evil.example")])
def test_a_request_names_one_host(names: tuple[str, ...]) -> None:
    """None or two are refused; HTTP/1.0 may leave it out."""
    with pytest.raises(BadInput):
        Hosts((), lambda: False).check(headers(*names))
    Hosts((), lambda: True).check([], "1.0")


@pytest.mark.parametrize("text", ["", "a b", "http://ops.example", "*.", "ops.example/x", "*x*"])
def test_a_setting_that_is_no_host_is_refused(text: str) -> None:
    """It would never allow anything."""
    with pytest.raises(BadSetting, match="--allowed-hosts"):
        Hosts((text,), lambda: True)


@pytest.mark.parametrize(
    ("sent", "own"),
    [
        ({}, True), ({"origin": "http://localhost:8000"}, True),
        ({"origin": "HTTP://localhost:8000"}, True), ({"origin": "https://board.example"}, True),
        ({"sec-fetch-site": "same-origin"}, True), ({"sec-fetch-site": "none"}, True),
        ({"origin": "null"}, False), ({"origin": "http://localhost:8001"}, False),
        ({"origin": "https://localhost:8000"}, False), ({"origin": "http://evil.example"}, False),
        ({"sec-fetch-site": "cross-site"}, False), ({"sec-fetch-site": "same-site"}, False),
        ({"origin": ""}, False), ({"origin": "https://board.example:443"}, True),
        ({"origin": "https://Board.example"}, True),
        ({"origin": "https://board.example:80"}, False),
    ],
)  # fmt: skip
def test_pages_of_other_sites_may_not_write(sent: dict[str, str], own: bool) -> None:
    """An origin is ours, allowed, or refused; programs send none."""
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    if own:
        require_own_origin(raw, "http://localhost:8000", ("https://board.example",))
    else:
        with pytest.raises(ForeignOrigin, match="--cors-origins"):
            require_own_origin(raw, "http://localhost:8000", ("https://board.example",))


def scope(path: str, *, client: str = "127.0.0.1", **said: str) -> dict[str, Any]:
    """A request that a proxy passes on, with `X-Forwarded-…` headers."""
    sent = [(f"x-forwarded-{name}".encode(), value.encode()) for name, value in said.items()]
    return {
        "path": path,
        "scheme": "http",
        "client": (client, 1),
        "headers": [*headers("a:8000"), *sent],
    }


@pytest.mark.parametrize(
    ("path", "said", "root", "served"),
    [
        ("/", {}, "./", "/"),
        ("/docs", {}, "./", "/docs"),
        ("/docs/", {}, "../", "/docs/"),
        ("/docs", {"prefix": "/ops/sl"}, "/ops/sl/", "/docs"),
        ("/ops/sl/docs", {"prefix": "/ops/sl/"}, "/ops/sl/", "/docs"),
        ("/ops/sl/", {"prefix": "/ops/sl"}, "/ops/sl/", "/"),
        ("/ops/sl", {"prefix": "/ops/sl"}, "/ops/sl/", ""),
        ("/ops/slow", {"prefix": "/ops/sl"}, "/ops/sl/", "/ops/slow"),
        ("/api/v1/tasks", {"prefix": "/api"}, "/api/", "/api/v1/tasks"),
        ("/api/api/v1/tasks", {"prefix": "/api"}, "/api/", "/api/v1/tasks"),
        ("/docs", {"prefix": "//evil.example"}, "./", "/docs"),
        ("/docs", {"prefix": "/a/../b"}, "./", "/docs"),
        ("/docs", {"prefix": "https://evil.example"}, "./", "/docs"),
        ("/docs", {"prefix": '/"><script>'}, "./", "/docs"),
        ("/docs", {"prefix": "/outer, /inner"}, "/outer/", "/docs"),
    ],
)
def test_a_prefix_is_found_in_the_path_or_not(
    path: str, said: dict[str, str], root: str, served: str
) -> None:
    """Whether the proxy cuts it off or leaves it; what could lead elsewhere is not believed."""
    place = Proxies(("127.0.0.1",), "").place(scope(path, **said))
    assert (place.root, place.path) == (root, served)


@pytest.mark.parametrize("path", ["/docs", "/ops/docs"])
def test_the_root_path_needs_no_header(path: str) -> None:
    """The setting says where a proxy serves us."""
    place = Proxies((), "/ops/").place(scope(path))
    assert (place.root, place.path) == ("/ops/", "/docs")


@pytest.mark.parametrize(
    ("trusted", "client", "believed"),
    [
        ("127.0.0.0/8", "127.0.0.9", True), ("::1", "::1", True), ("10.0.0.0/8", "10.9.9.9", True),
        ("10.0.0.0/8", "::ffff:10.1.1.1", True), ("*", "2001:db8::1", True), ("*", "1.2.3.4", True),
        ("127.0.0.1", "10.0.0.1", False), ("none", "127.0.0.1", False), ("::1", "", False),
    ],
)  # fmt: skip
def test_only_trusted_proxies_are_believed(trusted: str, client: str, believed: bool) -> None:
    """All others' headers mean nothing."""
    asked = scope("/", client=client, prefix="/p", proto="https", host="ops.example")
    place = Proxies((trusted,), "").place(asked)
    expected = ("/p/", "https://ops.example") if believed else ("./", "http://a:8000")
    assert (place.root, place.origin) == expected


@pytest.mark.parametrize(("trusted", "root"), [("local", ""), ("none", "ops"), ("none", "//x")])
def test_wrong_settings_of_a_proxy_are_named(trusted: str, root: str) -> None:
    """A network that is none, a path that is none."""
    with pytest.raises(BadSetting, match=r"--trusted-proxies|--root-path"):
        Proxies((trusted,), root)
