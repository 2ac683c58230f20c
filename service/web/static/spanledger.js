// Small comforts for every page; without it each page still says everything.
// Times in the reader's zone, the theme switch, sorting of a table's rows, keys, copying of ids.
"use strict";

const root = document.documentElement;
const base = document.body.dataset.root;

/* ---- times ---- */
const CLOCK = {
  month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, hourCycle: "h23",
};
const exact = new Intl.DateTimeFormat(undefined, { ...CLOCK, year: "numeric", timeZoneName: "short" });
const thisYear = new Intl.DateTimeFormat(undefined, CLOCK);
const UNITS = [["w", 604800], ["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

function age(then, now) {
  const seconds = Math.floor(Math.abs(now - then) / 1000);
  if (seconds < 1) return "now";
  const [unit, size] = UNITS.find(([name, length]) => seconds >= (name === "w" ? 2 : 1) * length);
  const text = Math.floor(seconds / size) + unit;
  return then <= now ? text + " ago" : "in " + text;
}

function tellTimes(within = document) {
  for (const element of within.querySelectorAll("time[datetime]")) {
    const then = new Date(element.dateTime);
    if (isNaN(then)) continue;
    const local = exact.format(then);
    const recent = then.getFullYear() === new Date().getFullYear();
    if (element.dataset.form === "exact") element.textContent = (recent ? thisYear : exact).format(then);
    else element.textContent = age(then, Date.now());
    element.title = local + "\n" + element.dateTime;
  }
}

/* ---- theme ---- */
function theme() {
  const set = root.dataset.theme;
  if (set) return set;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function switchTheme() {
  const next = theme() === "dark" ? "light" : "dark";
  root.dataset.theme = next;
  const path = new URL(base || "./", location.href).pathname;
  document.cookie = `spanledger_theme=${next}; path=${path}; max-age=31536000; samesite=lax`;
  tellTheme();
}

function tellTheme() {
  const button = document.getElementById("theme");
  if (button) button.setAttribute("aria-label", theme() === "dark" ? "Light theme" : "Dark theme");
}

/* ---- sorting the rows that are there ---- */
function valueOf(row, column) {
  const cell = row.cells[column];
  const said = cell?.dataset.sort;
  if (said !== undefined) return said === "" ? -Infinity : Number(said);
  return cell?.textContent.trim().toLowerCase() ?? "";
}

function sortBy(button) {
  const head = button.closest("th"), table = head.closest("table");
  const ascending = head.getAttribute("aria-sort") === "descending";
  for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0) * (ascending ? 1 : -1);
  rows.sort((a, b) => compare(valueOf(a, head.cellIndex), valueOf(b, head.cellIndex)));
  body.append(...rows);
  table.closest(".card")?.querySelector("[data-of-page]")?.removeAttribute("hidden");
}

/* ---- keys ---- */
const PLACES = { o: "", l: "live", t: "tasks", e: "errors", x: "executors", h: "health", d: "ledger", s: "search" };
let before = "";

function rowsOf() { return [...document.querySelectorAll("table.list tbody tr, .gantt a.row")]; }

function step(by) {
  const rows = rowsOf();
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.classList.contains("at"));
  rows[at]?.classList.remove("at");
  const row = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
  row.classList.add("at");
  (row.matches("a") ? row : row.querySelector("a"))?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = event.key, after = before;
  before = key;
  if (after === "g" && key in PLACES) location.href = base + PLACES[key];
  else if (key === "/") { event.preventDefault(); document.getElementById("find")?.focus(); }
  else if (key === "j") step(1);
  else if (key === "k") step(-1);
  else if (key === "n") document.querySelector("[rel=next]")?.click();
  else if (key === "p") document.querySelector("[rel=prev]")?.click();
  else if (key === "?") document.getElementById("keys")?.showModal();
  else return;
}

/* ---- copying ---- */
async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  const said = button.textContent;
  button.textContent = "copied";
  setTimeout(() => { button.textContent = said; }, 1200);
}

/* ---- what is under way: asked again until it has ended ---- */
async function askAgain() {
  const part = document.querySelector("[data-again]");
  if (!part || document.hidden || part.contains(document.activeElement)) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const other = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
  if (!other) return;
  part.replaceWith(other);
  tellTimes(other);
}

document.addEventListener("keydown", onKey);
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.id === "theme") switchTheme();
  else if (button.id === "show-keys") document.getElementById("keys")?.showModal();
  else if (button.dataset.copy !== undefined) copy(button);
  else if (button.dataset.sortable !== undefined) sortBy(button);
});
document.addEventListener("change", (event) => {
  if (event.target.matches("select[data-submits]")) event.target.form.requestSubmit();
});
tellTheme();
tellTimes();
setInterval(() => tellTimes(), 10000);
if (document.querySelector("[data-again]")) setInterval(() => askAgain().catch(() => {}), 2000);
document.addEventListener("spanledger:shown", (event) => tellTimes(event.target));
