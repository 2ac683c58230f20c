"""The pages: what people see of the ledger in a browser, on the API's port.

A page is a module of `service/web/pages/`, named for its noun, whose `PAGES` lists what it serves:
a path, and a function that gets a `Visit` (who asks, for which tenant, with which parameters) and
gives a `Shown` (a template and its values). Functions run in worker threads, at most so many at
once, and read by `Visit.ask`, which is the API in process: same endpoints, bounds and errors. What
they raise becomes the problem page (`service/web/problem_page.py`). Add the module to `ALL` in
`service/web/site.py`, and the first part of its path to `_OURS` in `service/access/proxies.py`.

Templates extend `base.html.j2` and draw with the macros of `ui.html.j2` (badges, tables, tiles,
moments, pagers, empty states); geometry of charts is made in `service/web/charts/`. Links come
from `links`, which knows the proxy's prefix and quotes ids. Nothing is inline: the policy of
`service/web/answers.py` allows our own style sheet and script only, so places and lengths in
charts are SVG attributes, never `style`. Every number that stands for rows is a link to them.
"""
