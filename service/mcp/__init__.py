"""The MCP server: what an agent may ask, in answers of its size. Read-only.

`tools/` are plain functions of a `Source` that answers as the HTTP API does; `server.py` makes
them the tools of an official SDK server, with limits; `http.py` and `stdio.py` carry it. The
SDK takes a second of processor time to load: only `server`, `pages` and `stdio` import it.
"""
