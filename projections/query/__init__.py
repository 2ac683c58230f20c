"""Answers from the views: the same for the HTTP API and for the CLI on a local folder.

`Queries(data).answer(resource, parameters, tenant=…)` gives a frozen record of
`projections.query.records`; `msgspec.to_builtins` or `msgspec.json.encode` make JSON of it.
"""
