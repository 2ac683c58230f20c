"""Settings: which source wins, and what is refused in which words."""

from pathlib import Path
from typing import Any

import pytest

from events.errors import BadSetting
from service.access.tokens import TokenStore
from service.configuration.reading import FIELDS, from_json, load, to_json
from service.configuration.settings import Settings


def load_with(folder: Path, environ: dict[str, str] | None = None, **options: Any) -> Settings:
    """The settings of a service in `folder`."""
    return load({"data": str(folder), **options}, environ or {})


def test_defaults(tmp_path: Path) -> None:
    """Nothing but the data folder has to be given."""
    assert load_with(tmp_path) == Settings(data=tmp_path)


def test_precedence(tmp_path: Path) -> None:
    """The command line wins over the environment, that over the file, that over the default."""
    (tmp_path / "spanledger.toml").write_text(
        "grpc_port = 1\nhttp_port = 2\napi_port = 3\nworkers = 4\n"
    )
    environ = {"SPANLEDGER_GRPC_PORT": "11", "SPANLEDGER_HTTP_PORT": "12"}
    settings = load_with(tmp_path, environ, grpc_port="21")
    found = settings.grpc_port, settings.http_port, settings.api_port, settings.workers
    assert (*found, settings.drain_s) == (21, 12, 3, 4, 10.0)


def test_config_names_the_data_folder(tmp_path: Path) -> None:
    """A file given by name may say where the data is; relative paths start at the file."""
    file = tmp_path / "settings.toml"
    file.write_text('data = "here"\n')
    assert load({}, {"SPANLEDGER_CONFIG": str(file)}).data == tmp_path / "here"
    assert load({"config": str(file)}, {}).data == tmp_path / "here"


def test_file_in_the_data_folder_cannot_move_it(tmp_path: Path) -> None:
    """A file found by the data folder may not name another one."""
    (tmp_path / "spanledger.toml").write_text('data = "elsewhere"\n')
    with pytest.raises(BadSetting, match="the folder that the file is in"):
        load_with(tmp_path)


@pytest.mark.parametrize("name", sorted(set(FIELDS) - {"data"}))
def test_each_setting_has_a_variable(name: str, tmp_path: Path) -> None:
    """Every setting is read from the environment, and an empty variable counts as none."""
    assert load_with(tmp_path, {FIELDS[name].variable: ""}) == Settings(data=tmp_path)


def test_lists(tmp_path: Path) -> None:
    """Lists are separated by commas in the environment, targets by spaces."""
    environ = {
        "SPANLEDGER_CORS_ORIGINS": "http://a, http://b",
        "SPANLEDGER_FORWARD": "otlp+grpc://a:1?signals=traces,logs otlp+http://b:2",
    }
    settings = load_with(tmp_path, environ)
    assert settings.cors_origins == ("http://a", "http://b")
    assert [target.url for target in settings.forward] == ["otlp+grpc://a:1", "otlp+http://b:2"]
    assert settings.forward[0].signals == ("traces", "logs")


def test_targets_as_tables(tmp_path: Path) -> None:
    """A TOML file may spell a target out."""
    (tmp_path / "spanledger.toml").write_text(
        '[[forward]]\nurl = "otlp+grpc://a:1"\nname = "jaeger"\nheaders = {x = "y"}\n'
    )
    (target,) = load_with(tmp_path).forward
    assert (target.name, target.headers) == ("jaeger", {"x": "y"})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"SPANLEDGER_GRPC_PROT": "1"},
            "SPANLEDGER_GRPC_PROT .* did you mean SPANLEDGER_GRPC_PORT",
        ),
        ({"SPANLEDGER_GRPC_PORT": "70000"}, "SPANLEDGER_GRPC_PORT .*from 0 to 65535, not '70000'"),
        ({"SPANLEDGER_WORKERS": "0"}, "SPANLEDGER_WORKERS .*from 1 to 64"),
        ({"SPANLEDGER_DRAIN_S": "nan"}, "SPANLEDGER_DRAIN_S .*a number from 0 to 600"),
        ({"SPANLEDGER_LOG_FORMAT": "xml"}, "SPANLEDGER_LOG_FORMAT .*one of json, text, not 'xml'"),
        ({"SPANLEDGER_SCRUB": "maybe"}, "SPANLEDGER_SCRUB .*true or false"),
        ({"SPANLEDGER_TLS_CERT": "/nowhere"}, "--tls-cert and --tls-key go together"),
        ({"SPANLEDGER_HOST": "no.such.host.invalid"}, "no such address"),
        ({"SPANLEDGER_HTTP_PORT": "4317"}, "must differ"),
        ({"SPANLEDGER_FORWARD": "http://a:1"}, "scheme must be one of"),
        ({"SPANLEDGER_CONFIG": "/no/such.toml"}, "/no/such.toml cannot be read"),
    ],
)
def test_bad_settings_are_named(environ: dict[str, str], message: str, tmp_path: Path) -> None:
    """The message names the setting, where it was given and what is allowed."""
    with pytest.raises(BadSetting, match=message):
        load_with(tmp_path, environ)


def test_variables_of_the_sdk_are_not_the_services(tmp_path: Path) -> None:
    """A program that sends and the service may share an environment."""
    with_it = load_with(tmp_path, {"SPANLEDGER_SDK_DISABLED": "true"})
    assert with_it == load_with(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grcp_port = 1", "grcp_port in .*spanledger.toml is no setting; did you mean grpc_port"),
        ("grpc_port = ", "is no TOML"),
        ("grpc_port = -1", "grpc_port in .*spanledger.toml: expected a number from 0"),
        ("data = 3\n", "the folder that the file is in|expected a path"),
    ],
)
def test_bad_files_are_named(text: str, message: str, tmp_path: Path) -> None:
    """What is wrong in a file is told with the file."""
    (tmp_path / "spanledger.toml").write_text(text)
    with pytest.raises(BadSetting, match=message):
        load_with(tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "otlp+grpc://user:s3cret@a:1",
        "otlp+grpc://a:1?header.x=s3cret&nonsense=1",
        "otlp+grpc://a:1/path?header.x=s3cret",
        "otlp+xml://a:1?header.x=s3cret",
    ],
)
def test_secrets_are_not_repeated(url: str, tmp_path: Path) -> None:
    """No message about a target shows its headers or credentials."""
    with pytest.raises(BadSetting) as caught:
        load_with(tmp_path, forward=[url])
    assert "s3cret" not in str(caught.value)


def test_other_addresses_need_tokens(tmp_path: Path) -> None:
    """Closed by default: without a token only this machine is listened to."""
    with pytest.raises(BadSetting, match="spanledger token add"):
        load_with(tmp_path, host="0.0.0.0")
    TokenStore(tmp_path / "tokens.json").add("a", "ingest")
    assert load_with(tmp_path, host="0.0.0.0").host == "0.0.0.0"


def test_children_get_the_same_settings(tmp_path: Path) -> None:
    """Settings survive the way to a child process."""
    settings = load_with(tmp_path, forward=["otlp+grpc://a:1?header.x=y"], drain_s="3")
    assert from_json(to_json(settings)) == settings
