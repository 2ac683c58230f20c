// What changes, as it comes. All visible tabs of a browser share one connection: the one that holds
// the lock listens and tells the others. A hidden tab lets go of both.
"use strict";

(() => {
  const home = new URL(document.body.dataset.root, location.href);
  const channel = new BroadcastChannel("spanledger-live " + home.pathname);
  const MOST_ROWS = 200, AGAIN_MS = 5000, SILENT_MS = 40000; // the service tells every 15 s that it is there
  let heard = 0, behind = "";
  let source = null, release = null, asking = null, paused = false, missed = 0;
  const state = document.getElementById("live-state");

  function tell(name, text) {
    if (!state) return;
    state.className = name;
    state.querySelector("span:last-child").textContent = text;
  }

  function told() {
    if (!paused) tell(behind ? "paused" : "", behind ? `live, but the views are ${behind} behind` : "live");
  }

  function lost(text) {
    channel.postMessage("lost");
    if (!paused) tell("broken", text);
  }

  function connect() {
    const opened = source = new EventSource(new URL("live/stream", home));
    heard = performance.now();
    const here = () => { heard = performance.now(); channel.postMessage("open"); told(); };
    source.onopen = here;
    source.onerror = () => {
      lost("no connection, trying again");
      // The browser tries again by itself, but for an answer that is no stream.
      if (opened.readyState === EventSource.CLOSED) setTimeout(() => again(opened), AGAIN_MS);
    };
    source.addEventListener("here", here);
    source.onmessage = (event) => {
      heard = performance.now();
      const beat = JSON.parse(event.data);
      channel.postMessage(beat);
      take(beat);
    };
  }

  async function again(closed) {
    if (source !== closed) return;
    const asked = new AbortController();
    const answer = await fetch(new URL("live/stream", home), { signal: asked.signal }).catch(() => null);
    asked.abort();
    if (source !== closed) return;
    if (answer?.status === 401 || answer?.status === 403) {
      lost("signed out: load the page again");
      return;
    }
    closed.close();
    connect();
  }

  // A service that hangs leaves its connections open: what tells of it is that nothing comes.
  setInterval(() => {
    if (!source || source.readyState === EventSource.CLOSED || performance.now() - heard < SILENT_MS) return;
    lost("nothing heard for a while, trying again");
    source.close();
    connect();
  }, AGAIN_MS);

  function lead() {
    if (source || asking) return;
    if (!navigator.locks) { connect(); return; } // not a secure context: each tab listens
    asking = new AbortController();
    channel.postMessage("hello"); // if another tab listens already, it says so
    navigator.locks.request("spanledger-live " + home.pathname, { signal: asking.signal }, () => {
      asking = null;
      connect();
      return new Promise((resolve) => { release = resolve; });
    }).catch(() => {});
  }

  function stop() {
    asking?.abort();
    asking = null;
    source?.close();
    source = null;
    release?.();
    release = null;
  }

  channel.onmessage = (event) => {
    if (event.data === "lost" && source?.readyState === EventSource.OPEN) return; // of one that ended
    if (event.data === "open") told();
    else if (event.data === "hello") { if (source?.readyState === EventSource.OPEN) channel.postMessage("open"); }
    else if (event.data === "lost") { if (!paused) tell("broken", "no connection, trying again"); }
    else take(event.data);
  };

  function take(beat) {
    behind = beat.behind; // told only when it changes: no tab may miss it
    if (document.hidden) return;
    if (paused) { missed += beat.changes.length + beat.more; count(); return; }
    told();
    for (const [name, text] of Object.entries(beat.figures)) {
      for (const element of document.querySelectorAll(`[data-figure="${name}"]`)) {
        if (element.textContent !== text) element.textContent = text;
      }
    }
    const body = document.getElementById("live-rows");
    if (body) show(body, beat);
    if (beat.changes.length) renew();
  }

  /* ---- a part of the page that is made anew on the server ---- */
  const LEAST_MS = 5000;
  let renewing = 0, renewed = performance.now();

  function renew() {
    const part = document.getElementById("moving");
    if (!part || renewing) return;
    const wait = Math.max(renewed + LEAST_MS - performance.now(), 0) + Math.random() * 1000;
    renewing = setTimeout(() => exchange(part).catch(() => {}).finally(() => { renewing = 0; }), wait);
  }

  function isUsed(part) {
    const chosen = getSelection();
    return part.contains(document.activeElement) || part.querySelector("[aria-sort]")
      || (chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode));
  }

  async function exchange(part) {
    if (document.hidden || paused || isUsed(part)) return; // nothing is taken from under a reader
    const answer = await fetch(new URL(part.dataset.part, location.href));
    if (!answer.ok || isUsed(part)) return;
    const made = new DOMParser().parseFromString(await answer.text(), "text/html");
    part.replaceChildren(...made.body.children);
    renewed = performance.now();
    part.dispatchEvent(new CustomEvent("spanledger:shown", { bubbles: true }));
  }

  function count() { tell("paused", `paused, ${missed} not shown`); }

  /* ---- rows ---- */
  const known = new Set();

  function passes(row) {
    const text = (document.getElementById("live-filter")?.value ?? "").trim().toLowerCase();
    const kind = document.getElementById("live-kind")?.value ?? "";
    if (kind && row.dataset.kind !== kind) return false;
    return text.split(/\s+/).every((word) => word.startsWith("-") && word.length > 1
      ? !row.dataset.text.includes(word.slice(1)) : row.dataset.text.includes(word));
  }

  function filter() {
    for (const row of document.querySelectorAll("#live-rows tr")) row.hidden = !passes(row);
  }

  function cell(row, name, ...parts) {
    const made = row.insertCell();
    if (name) made.className = name;
    made.append(...parts);
    return made;
  }

  function link(text, path) {
    const made = document.createElement("a");
    made.href = new URL(path, home);
    made.textContent = text;
    return made;
  }

  const SVG = "http://www.w3.org/2000/svg";

  function badge(change) {
    const made = document.createElement("span");
    made.className = `badge s-${change.kind}`;
    const icon = document.createElementNS(SVG, "svg"), use = document.createElementNS(SVG, "use");
    icon.setAttribute("aria-hidden", "true");
    use.setAttribute("href", `#s-${change.kind}`);
    icon.append(use);
    made.append(icon, change.status);
    return made;
  }

  function moment(text) {
    const made = document.createElement("time");
    made.dateTime = text;
    made.textContent = text;
    return made;
  }

  function rowOf(change) {
    const row = document.createElement("tr");
    row.className = "fresh";
    row.dataset.kind = change.kind;
    row.dataset.text = [change.task, change.run, change.status, change.reason].join(" ").toLowerCase();
    cell(row, "nowrap when", moment(change.time));
    cell(row, "what", badge(change));
    cell(row, "id main", link(change.task, "tasks/" + encodeURIComponent(change.task)));
    cell(row, "id wide", change.run ? link(change.run, change.link) : "");
    cell(row, "number", change.attempt ?? "").dataset.label = "try";
    cell(row, "cut why", change.reason);
    row.hidden = !passes(row);
    return row;
  }

  function show(body, beat) {
    const rows = beat.changes.filter((change) => !known.has(change.key)).map((change) => {
      known.add(change.key);
      return rowOf(change);
    });
    body.prepend(...rows);
    while (body.rows.length > MOST_ROWS) body.lastElementChild.remove();
    if (known.size > 4000) known.clear();
    document.getElementById("live-empty")?.toggleAttribute("hidden", body.rows.length > 0);
    const more = document.getElementById("live-more");
    if (more) more.textContent = beat.more ? `${beat.more} more in this second` : "";
    body.dispatchEvent(new CustomEvent("spanledger:shown", { bubbles: true }));
  }

  function pause() {
    paused = !paused;
    missed = 0;
    const button = document.getElementById("live-pause");
    if (button) { button.textContent = paused ? "Go on" : "Pause"; button.setAttribute("aria-pressed", paused); }
    if (paused) count(); else told();
  }

  document.getElementById("live-pause")?.addEventListener("click", pause);
  for (const id of ["live-filter", "live-kind"]) {
    document.getElementById(id)?.addEventListener("input", filter);
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === " " && event.target === document.body && document.getElementById("live-pause")) {
      event.preventDefault();
      pause();
    }
  });
  document.addEventListener("visibilitychange", () => { document.hidden ? stop() : lead(); });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", () => { if (!document.hidden) lead(); });
})();
