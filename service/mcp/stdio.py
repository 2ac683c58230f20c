"""MCP over standard input and output, for a client that starts us; loads the SDK."""

import anyio
from mcp.server.stdio import stdio_server

from service.mcp.limits import Buckets
from service.mcp.server import Caller, Context, Toolbox
from service.mcp.tools.tool import Source


def serve(source: Source) -> None:
    """Answer until standard input ends. Nothing but the protocol is written to standard output:
    what is printed meanwhile goes to standard error."""
    caller = Caller("stdio", source)

    def caller_of(ctx: Context) -> Caller:
        return caller

    server = Toolbox(caller_of, Buckets()).server()

    async def run() -> None:
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    anyio.run(run)
