"""How clients are told of the server: what to write into which file of theirs."""

import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from events.atomic_file import replace_file
from events.errors import BadInput

NAME: Final = "spanledger"
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Client:
    """One client.

    Args:
        file: of its configuration; a relative one is the project's.
        key: under which that file lists servers.
        typed: whether it wants to be told the transport.
        token: how a file that others may see names the token; "": the file is the user's own,
            and holds it.
    """

    name: str
    title: str
    file: Path
    key: str = "mcpServers"
    typed: bool = False
    token: str = ""

    @property
    def is_toml(self) -> bool:
        """Whether the file is TOML, else JSON."""
        return self.file.suffix == ".toml"


def clients(home: Path) -> dict[str, Client]:
    """The clients that we know, by name."""
    support = (
        home / "Library" / "Application Support" if sys.platform == "darwin" else home / ".config"
    )
    known = (
        Client("claude-code", "Claude Code", Path(".mcp.json"), typed=True,
               token="${SPANLEDGER_TOKEN}"),
        Client("claude-desktop", "Claude Desktop",
               support / "Claude" / "claude_desktop_config.json"),
        Client("codex", "Codex", home / ".codex" / "config.toml", "mcp_servers"),
        Client("cursor", "Cursor", home / ".cursor" / "mcp.json"),
        Client("gemini", "Gemini CLI", home / ".gemini" / "settings.json"),
        Client("vscode", "VS Code", Path(".vscode") / "mcp.json", "servers", typed=True,
               token="${env:SPANLEDGER_TOKEN}"),
        Client("windsurf", "Windsurf", home / ".codeium" / "windsurf" / "mcp_config.json"),
    )  # fmt: skip
    return {client.name: client for client in known}


def entry(client: Client, command: Sequence[str], token: str | None) -> dict[str, Any]:
    """What a client's file says of our server: the command that it starts."""
    said: dict[str, Any] = {"type": "stdio"} if client.typed else {}
    said |= {"command": command[0], "args": list(command[1:])}
    if token:
        said["env"] = {"SPANLEDGER_TOKEN": client.token or token}
    return said


def text_of(client: Client, said: Mapping[str, Any]) -> str:
    """The whole of a file that says nothing else."""
    if not client.is_toml:
        return json.dumps({client.key: {NAME: said}}, indent=2) + "\n"
    lines = [f"[{client.key}.{NAME}]"]
    lines += [f"{key} = {_toml(value)}" for key, value in said.items()]
    return "\n".join(lines) + "\n"


def write(client: Client, said: Mapping[str, Any], folder: Path) -> Path:
    """Put the server into a client's file and keep all else that it says.

    Args:
        folder: of the project.

    Raises:
        BadInput: the file cannot be read, or not be changed without losing something.
    """
    path = folder / client.file
    try:
        before = path.read_text("utf-8") if path.exists() else ""
    except (UnicodeDecodeError, OSError) as exc:
        raise BadInput(f"{path} cannot be read ({exc}): add the entry by hand") from exc
    text = _with_toml if client.is_toml else _with_json
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = None if client.token else _PRIVATE
    body = text(client, said, before, path).encode()
    if mode is None:
        replace_file(path, body)
    else:
        replace_file(path, body, mode=mode)
    return path


def _with_json(client: Client, said: Mapping[str, Any], before: str, path: Path) -> str:
    try:
        whole = json.loads(before) if before.strip() else {}
        listed = whole.setdefault(client.key, {})
        listed[NAME] = dict(said)
    except (ValueError, AttributeError, TypeError) as exc:
        raise BadInput(f"{path} is no plain JSON ({exc}): add the entry by hand") from exc
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _with_toml(client: Client, said: Mapping[str, Any], before: str, path: Path) -> str:
    """Appended, because comments are to stay; one that is there must be changed by hand."""
    try:
        whole = tomllib.loads(before)
    except tomllib.TOMLDecodeError as exc:
        raise BadInput(f"{path} is no TOML ({exc}): add the entry by hand") from exc
    listed = whole.get(client.key, {})
    if isinstance(listed, dict) and NAME in listed:
        raise BadInput(f"{path} has a server named {NAME}: change it by hand")
    text = f"{before.rstrip()}\n\n{text_of(client, said)}".lstrip()
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:  # as after an inline table, which is closed
        raise BadInput(f"{path}: nothing can follow its {client.key}: add it by hand") from exc
    return text


def _toml(value: Any) -> str:
    """A text, a list of texts or a map of texts; JSON writes the first two as TOML does."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items())
        return f"{{ {pairs} }}"
    return json.dumps(value)
