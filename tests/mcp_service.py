"""MCP on a data folder over a real socket, and the official client."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from service.access.tokens import TokenStore
from service.configuration.settings import Settings
from service.mcp.http import McpServer

Talk = Callable[[Client], Awaitable[Any]]


@contextlib.contextmanager
def serving(data: Path, **settings: Any) -> Iterator[str]:
    """The URL of MCP on `data`; the server ends with the block."""
    server = McpServer(Settings(data=data, **settings), 0, TokenStore(data / "tokens.json"))
    try:
        yield f"http://{server.start()}/mcp"
    finally:
        server.close()


def talk(
    target: str | StdioServerParameters,
    saying: Talk,
    *,
    headers: Mapping[str, str] | None = None,
    mode: Any = "auto",
) -> Any:
    """What `saying` makes of a client that is connected to `target`."""

    async def run() -> Any:
        if isinstance(target, StdioServerParameters):
            async with Client(target, mode=mode) as client:
                return await saying(client)
        async with (
            httpx2.AsyncClient(headers=dict(headers or {}), trust_env=False, timeout=60) as sender,
            Client(streamable_http_client(target, http_client=sender), mode=mode) as client,
        ):
            return await saying(client)

    return asyncio.run(asyncio.wait_for(run(), 60))


def call(
    target: str | StdioServerParameters,
    tool: str,
    headers: Mapping[str, str] | None = None,
    **arguments: Any,
) -> Any:
    """The result of one call."""

    async def saying(client: Client) -> Any:
        return await client.call_tool(tool, arguments)

    return talk(target, saying, headers=headers)
