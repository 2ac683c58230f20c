"""Attributes whose key says that the value is a secret."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from events import codec
from events.identity import Identity
from service.otlp.batch import BatchBuilder
from service.otlp.decode import decoder as decode
from service.otlp.decode import protobuf
from service.otlp.decode.decoded import Decoded
from service.otlp.decode.json_body import decode_traces_json
from service.otlp.decode.limits import Limits
from service.otlp.scrub.scrubber import Scrubber
from service.otlp.scrub.secret_keys import MARK, secret_kind
from tests import otlp

Decode = Callable[[bytes, Limits], Decoded]
PROTOBUF: list[Decode] = [protobuf.decode_traces, decode.decode_traces]


def stored(decoded: Decoded, **options: object) -> list[tuple[Any, list[Any]]]:
    """The contexts and events that would be stored."""
    builder = BatchBuilder(Identity(bytes(range(64))), Scrubber(**options))  # type: ignore[arg-type]
    batch = builder.build([("default", 1, decoded)])
    assert batch is not None
    content = codec.unpack(batch.codec, batch.payload)
    return [(block.context, block.events) for block in codec.decode_blocks(content)]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("password", "password"), ("db.password", "password"), ("userPassword", "password"),
        ("MYSQL_PASSWD", "password"), ("ssh-passphrase", "password"),
        ("secret", "token"), ("client_secret", "token"), ("api_key", "token"),
        ("apiKey", "token"), ("x-api-key", "token"), ("aws.access.key", "token"),
        ("http.request.header.authorization", "token"), ("Set-Cookie", "token"),
        ("session.token", "token"), ("access_token", "token"), ("credentials", "token"),
        ("token", "token"), ("encryptionkey", "token"),
        ("gen_ai.usage.input_tokens", None), ("max_tokens", None), ("key", None),
        ("docket.key", None), ("task.id", None), ("password_hash_rounds", None),
        ("monkey", None), ("author", None), ("pi.key", None), ("", None), ("rd", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("decoder", PROTOBUF)
def test_which_keys(key: str, kind: str | None, decoder: Decode) -> None:
    """The words at the end of a key count; both decoders know the same."""
    assert secret_kind(key) == kind
    request = otlp.traces(otlp.make_span(attributes={key: "plain value", "other": "stays"}))
    decoded = decoder(request.SerializeToString(), Limits())
    assert (MARK.encode() in decoded.groups[0].text) == (kind is not None)
    ((_, (span,)),) = stored(decoded)
    assert span.attributes == {key: f"[{kind}]" if kind else "plain value", "other": "stays"}
    assert span.scrubbed == ((kind,) if kind else ())


def nested(value: AnyValue) -> AnyValue:
    """`value` deep inside an attribute's value."""
    inner = AnyValue(kvlist_value=KeyValueList(values=[otlp.pair("db_password", value)]))
    return AnyValue(array_value=ArrayValue(values=[inner]))


@pytest.mark.parametrize("decoder", PROTOBUF)
def test_everywhere_in_a_span(decoder: Decode) -> None:
    """Events, links and nested maps have keys too; only rows with such a key are touched."""
    plain = AnyValue(string_value="hunter2")
    attributes = [otlp.pair("api_key", plain)]
    deep = [otlp.pair("config", nested(plain))]
    spans = [
        otlp.make_span(name="event", events=[Span.Event(name="e", attributes=attributes)]),
        otlp.make_span(
            name="link",
            links=[Span.Link(trace_id=otlp.TRACE_ID, span_id=otlp.SPAN_ID, attributes=attributes)],
        ),
        otlp.make_span(name="untouched", attributes={"a": "hunter2"}),
        otlp.make_span(name="deep", attributes=deep),
    ]
    resource = Resource(attributes=[otlp.pair("vault.token", plain), otlp.pair("host.name", "h")])
    body = otlp.traces(*spans, resource=resource).SerializeToString()
    ((context, found),) = stored(decoder(body, Limits()))
    event, link, untouched, nested_one = found
    assert event.events[0].attributes == {"api_key": "[token]"}
    assert link.links[0].attributes == {"api_key": "[token]"}
    assert untouched.attributes == {"a": "hunter2"}
    assert nested_one.attributes == {"config": [{"db_password": "[password]"}]}
    assert [span.scrubbed for span in found] == [("token",), ("token",), (), ("password",)]
    assert context.resource_attributes == {"vault.token": "[token]", "host.name": "h"}


def test_values_of_every_type() -> None:
    """Lists and bytes are hidden, and numbers that are passwords; counts of tokens are not."""
    many = AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="a")] * 2))
    attributes = {
        "authorization": many, "secret": AnyValue(bytes_value=b"x"), "password": 1234,
        "first.token": 1234, "is_secret": AnyValue(bool_value=True), "cookie": "",
    }  # fmt: skip
    request = otlp.traces(otlp.make_span(attributes=attributes))
    ((_, (span,)),) = stored(decode.decode_traces(request.SerializeToString(), Limits()))
    assert span.attributes == {
        "authorization": ["[token]"] * 2, "secret": "[token]", "password": "[password]",
        "first.token": 1234, "is_secret": True, "cookie": "",
    }  # fmt: skip


def test_json_and_log_records() -> None:
    """Every other way in knows them too, also in the body of a log record."""
    request = otlp.traces(otlp.make_span(attributes={"db.password": "plain"}))
    ((_, (span,)),) = stored(decode_traces_json(otlp.to_json(request), Limits()))
    assert span.attributes == {"db.password": "[password]"}
    body = AnyValue(kvlist_value=KeyValueList(values=[otlp.pair("token", "plain")]))
    records = otlp.logs(otlp.make_log(body=body), otlp.make_log(attributes={"secret": "plain"}))
    decoded = protobuf.decode_logs(records.SerializeToString(), Limits())
    ((_, (first, second)),) = stored(decoded)
    assert first.body == {"token": "[token]"}
    assert second.attributes == {"secret": "[token]"}


def test_exempt_keys() -> None:
    """A key can be exempted by its name."""
    request = otlp.traces(otlp.make_span(attributes={"page.token": "p1", "api_key": "k"}))
    decoded = decode.decode_traces(request.SerializeToString(), Limits())
    ((_, (span,)),) = stored(decoded, exempt=("page.token",))
    assert span.attributes == {"page.token": "p1", "api_key": "[token]"}


def test_parts_of_connection_strings() -> None:
    """Of a connection string the password goes and the rest stays."""
    text = "Server=db;User Id=app;Password=hunter2;Encrypt=yes"
    request = otlp.traces(otlp.make_span(attributes={"db.connection_string": text}))
    ((_, (span,)),) = stored(decode.decode_traces(request.SerializeToString(), Limits()))
    assert span.attributes["db.connection_string"] == text.replace("hunter2", "[password]")
