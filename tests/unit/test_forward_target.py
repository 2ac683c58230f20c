"""The `--forward` setting: what is understood, and what is refused by name."""

from pathlib import Path

import pytest

from events.errors import BadSetting
from service.configuration.settings import ForwardTarget
from service.forward.target import parse_url, resolve, resolve_all


@pytest.mark.parametrize(
    ("url", "transport", "authority", "path", "secure"),
    [
        ("otlp+grpc://jaeger:4317", "grpc", "jaeger:4317", "", False),
        ("otlp+grpc://jaeger", "grpc", "jaeger:4317", "", False),
        ("otlp+grpcs://tempo.example:443", "grpc", "tempo.example:443", "", True),
        ("otlp+http://localhost:4318", "http", "localhost:4318", "", False),
        ("otlp+https://otlp.example/otlp/", "http", "otlp.example:4318", "/otlp", True),
        ("otlp+http://[::1]:4318", "http", "[::1]:4318", "", False),
    ],
)
def test_schemes(url: str, transport: str, authority: str, path: str, secure: bool) -> None:
    """The scheme says the transport and whether it is TLS; ports have OTLP's defaults."""
    target = resolve(ForwardTarget(url))
    assert (target.transport, target.authority, target.path) == (transport, authority, path)
    assert (target.tls is not None) == secure


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (ForwardTarget("http://jaeger:4318"), "scheme"),
        (ForwardTarget("otlp+grpc://"), "host:port"),
        (ForwardTarget("otlp+grpc://jaeger:x"), "Port"),
        (ForwardTarget("otlp+grpc://jaeger:4317/v1/traces"), "no path"),
        (ForwardTarget("otlp+http://user:pw@jaeger"), "headers"),
        (ForwardTarget("otlp+grpc://jaeger", start="yesterday"), "start"),
        (ForwardTarget("otlp+grpc://jaeger", signals=()), "signals"),
        (ForwardTarget("otlp+grpc://[::1:4317"), "IPv6"),
        (ForwardTarget("otlp+grpc://jaeger", name="a b"), "name"),
        (ForwardTarget("otlp+grpc://jaeger", headers={"x y": "1"}), "header"),
        (ForwardTarget("otlp+grpc://jaeger", headers={"x": "1\r\nz: 2"}), "header"),
        (ForwardTarget("otlp+grpc://jaeger", headers={"x": "1\rz: 2"}), "header 'x' cannot"),
        (ForwardTarget("otlp+http://jaeger", headers={"x": "1\0"}), "header 'x' cannot"),
        (ForwardTarget("otlp+http://jaeger", headers={"x": " 1"}), "no spaces around"),
        (ForwardTarget("otlp+http://jaeger", headers={"x": "\x7f"}), "printable ASCII"),
        (ForwardTarget("otlp+grpc://jaeger", headers={"X-Scope-OrgID": "t"}), "tenant"),
        (ForwardTarget("otlp+grpc://jaeger", ca_file=Path("ca.pem")), "TLS"),
        (ForwardTarget("otlp+grpcs://jaeger", ca_file=Path("/nowhere/ca.pem")), "ca.pem"),
    ],
)
def test_wrong_settings_are_named(setting: ForwardTarget, said: str) -> None:
    """A setting that cannot work stops the start with a message that says what is wrong."""
    with pytest.raises(BadSetting, match=said):
        resolve(setting)


def test_equal_names_are_refused() -> None:
    """Two targets cannot share one cursor."""
    one = ForwardTarget("otlp+grpc://jaeger:4317")
    with pytest.raises(BadSetting, match="two forward targets"):
        resolve_all([one, one])


def test_one_argument_says_everything() -> None:
    """The query of a --forward argument carries the other fields."""
    setting = parse_url(
        "otlp+grpcs://tempo:4317?name=tempo&signals=traces,logs&start=beginning"
        "&header.Authorization=Bearer%20x&ca_file=/etc/ca.pem"
    )
    assert setting == ForwardTarget(
        "otlp+grpcs://tempo:4317",
        name="tempo",
        signals=("traces", "logs"),
        start="beginning",
        headers={"Authorization": "Bearer x"},
        ca_file=Path("/etc/ca.pem"),
    )
    with pytest.raises(BadSetting, match="IPv6"):
        parse_url("otlp+grpc://[::1:4317")
    with pytest.raises(BadSetting, match="nmae"):
        parse_url("otlp+grpc://jaeger:4317?nmae=x")
