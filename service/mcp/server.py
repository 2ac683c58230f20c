"""The SDK's server with our tools, resources and prompts; loads the SDK.

Every call is counted; its arguments are logged only as a keyed hash, which tells equal calls of
one process from others and nothing else. Work is done in worker threads, some at once, each for a
bounded time.
"""

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import anyio
import mcp_types as types
import msgspec
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError

from events.errors import NotFound, Rejected, SpanledgerError, Unavailable
from events.metrics import MCP_CALLS, MCP_SECONDS
from service.installation.version import VERSION
from service.mcp.answering import TOOLS, answer, schema_of
from service.mcp.guide import INSTRUCTIONS, PAGES, PROMPTS
from service.mcp.limits import Buckets
from service.mcp.tools.tool import Document, Source, Timed, TookTooLong

CALL_S: Final = 10.0
"""The longest time of a call."""
_AT_ONCE: Final = 8
_KEY: Final = secrets.token_bytes(16)
_log = logging.getLogger(__name__)

Context = ServerRequestContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: by which name its calls are limited, and what answers it."""

    name: str
    source: Source


class Toolbox:
    """Answers what clients ask.

    Args:
        caller_of: who sends a request.
    """

    def __init__(
        self, caller_of: Callable[[Context], Caller], buckets: Buckets, call_s: float = CALL_S
    ) -> None:
        self._caller_of = caller_of
        self._buckets = buckets
        self._call_s = call_s
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    def server(self) -> Server[Any]:
        """The server, for any transport."""
        return Server(
            "spanledger",
            version=VERSION,
            title="Spanledger",
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_read_resource=self._read_resource,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
        )

    async def _list_tools(self, ctx: Context, params: Any) -> types.ListToolsResult:
        told = types.ToolAnnotations(
            read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        )
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=tool.name, title=tool.title, description=tool.description,
                    input_schema=schema_of(tool), annotations=told,
                )
                for tool in TOOLS.values()
            ]
        )  # fmt: skip

    async def _call_tool(
        self, ctx: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        started_s = time.perf_counter()
        arguments = params.arguments or {}
        try:
            document = await self._answered(ctx, params.name, arguments)
            outcome, refused = "answered", False
        except SpanledgerError as exc:
            document, outcome, refused = _refusal(exc), _kind(exc), True
        except Exception:
            _log.exception("mcp call failed", extra={"action": "mcp"})
            document = {
                "error": "internal",
                "message": "the service made a mistake; its log says more",
            }
            outcome, refused = "internal", True
        seconds = time.perf_counter() - started_s
        tool = params.name if params.name in TOOLS else "unknown"
        MCP_CALLS.labels(tool, outcome).inc()
        MCP_SECONDS.observe(seconds)
        _log.info(
            "mcp call",
            extra={"action": "mcp", "tool": tool, "arguments": _hash(arguments),
                   "outcome": outcome, "seconds": round(seconds, 4)},
        )  # fmt: skip
        text = types.TextContent(type="text", text=msgspec.json.encode(document).decode())
        return types.CallToolResult(content=[text], structured_content=document, is_error=refused)

    async def _answered(self, ctx: Context, name: str, arguments: Mapping[str, Any]) -> Document:
        caller = self._caller_of(ctx)
        self._buckets.take(caller.name)
        source = Timed(caller.source, self._call_s)

        def work() -> Document:
            return answer(name, arguments, source)

        with anyio.move_on_after(self._call_s):
            # One that takes too long ends by itself soon: each of its questions has a budget.
            return await anyio.to_thread.run_sync(
                work, limiter=self._limiter, abandon_on_cancel=True
            )
        raise TookTooLong(f"not answered within {self._call_s:g} s; ask for less, or later")

    async def _list_resources(self, ctx: Context, params: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult(
            resources=[
                types.Resource(
                    uri=page.uri, name=page.name, description=page.description,
                    mime_type="text/markdown",
                )
                for page in PAGES.values()
            ]
        )  # fmt: skip

    async def _read_resource(
        self, ctx: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        page = PAGES.get(str(params.uri))
        if page is None:
            raise _bad(f"no resource {str(params.uri)[:200]!r}; there are {', '.join(PAGES)}")
        content = types.TextResourceContents(
            uri=page.uri, text=page.text(), mime_type="text/markdown"
        )
        return types.ReadResourceResult(contents=[content])

    async def _list_prompts(self, ctx: Context, params: Any) -> types.ListPromptsResult:
        return types.ListPromptsResult(
            prompts=[
                types.Prompt(
                    name=prompt.name, description=prompt.description,
                    arguments=[
                        types.PromptArgument(
                            name=name, description=sentence, required=name in prompt.needed
                        )
                        for name, sentence in prompt.arguments.items()
                    ],
                )
                for prompt in PROMPTS.values()
            ]
        )  # fmt: skip

    async def _get_prompt(
        self, ctx: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult:
        prompt = PROMPTS.get(params.name)
        if prompt is None:
            raise _bad(f"no prompt {params.name[:80]!r}; there are {', '.join(PROMPTS)}")
        given = params.arguments or {}
        missing = [name for name in prompt.needed if not given.get(name)]
        if missing:
            raise _bad(f"prompt {prompt.name} needs {', '.join(missing)}")
        text = types.TextContent(type="text", text=prompt.filled(given))
        message = types.PromptMessage(role="user", content=text)
        return types.GetPromptResult(description=prompt.description, messages=[message])


def _bad(message: str) -> MCPError:
    return MCPError(code=types.INVALID_PARAMS, message=message)


def _kind(error: SpanledgerError) -> str:
    """The kind of a refusal, in one word."""
    if isinstance(error, Unavailable):
        return "unavailable"
    if isinstance(error, NotFound):
        return "not_found"
    return "refused" if isinstance(error, Rejected) else "failed"


def _refusal(error: SpanledgerError) -> Document:
    told: Document = {"error": _kind(error), "message": str(error)}
    if isinstance(error, Unavailable):
        told["retry_after_s"] = round(error.retry_after_s, 2)
    return told


def _hash(arguments: Mapping[str, Any]) -> str:
    """Twelve digits that are equal for equal arguments, within this process."""
    text = msgspec.json.encode(sorted(arguments.items()))
    return hashlib.blake2b(text, digest_size=6, key=_KEY).hexdigest()
