// The little that a page needs beside htmx: looking again while something runs, moments in the reader's own zone,
// the list of columns, copying, and saying so when the server cannot be reached.
"use strict";

const EVERY_MS = 1000, LATER_MS = 5000;
const etags = new Map();
const banner = document.getElementById("banner");
let quietUntil = 0;

// Looking again: only while something is live, and only in a tab that is seen.
function look(always) {
  if (document.hidden || Date.now() < quietUntil) return;
  const live = document.querySelector("[data-live]");
  const list = live ? live.closest('[hx-trigger="refresh"]') : document.querySelector('[hx-trigger="refresh"]');
  if (list && (live || always)) htmx.trigger(list, "refresh");
}
setInterval(look, EVERY_MS);
document.addEventListener("visibilitychange", () => look(true));

// What has not changed is answered with 304 and not touched.
document.addEventListener("htmx:configRequest", ({ detail }) => {
  const known = detail.verb === "get" && detail.elt.id === "jobs" && etags.get(detail.path);
  if (known) detail.headers["If-None-Match"] = known;
});
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const { xhr, requestConfig, successful } = detail;
  if (!xhr || !requestConfig) return;
  const etag = xhr.getResponseHeader("ETag");
  if (requestConfig.verb === "get" && xhr.status === 200 && etag) {
    etags.clear();
    etags.set(requestConfig.path, etag);
  } else if (requestConfig.verb !== "get") {
    etags.clear(); // the page shows something newer now
  }
  if (successful || xhr.status === 304) reachable(true);
});

// Trouble: no network, an expired session, a refusal.
function reachable(yes) {
  banner.hidden = yes;
  banner.textContent = yes ? "" : "The server cannot be reached. Nothing is lost; this page tries again by itself.";
}
document.addEventListener("htmx:sendError", () => { reachable(false); quietUntil = Date.now() + LATER_MS; });
document.addEventListener("htmx:timeout", () => { reachable(false); quietUntil = Date.now() + LATER_MS; });
addEventListener("offline", () => reachable(false));
addEventListener("online", () => { quietUntil = 0; look(true); if (!document.querySelector('[hx-trigger="refresh"]')) reachable(true); });
document.addEventListener("htmx:responseError", ({ detail }) => {
  const { status, responseText } = detail.xhr;
  if (status === 401) return signInAgain();
  quietUntil = Date.now() + LATER_MS;
  say(status >= 500 && !responseText ? "The server met a fault." : responseText.slice(0, 300));
});
let leaving = false;
function signInAgain() {
  if (leaving) return;
  leaving = true;
  const form = document.getElementById("builder");
  if (form) form.submit(); // the log-in that this leads to carries what was typed
  else location.assign("/data-tools/login/?next=" + encodeURIComponent(location.pathname + location.search));
}
function say(text) {
  const toast = document.createElement("p");
  toast.textContent = text;
  document.getElementById("toasts").replaceChildren(toast);
  setTimeout(() => toast.remove(), 8000);
}

// Moments, in the reader's own zone and language.
const today = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const otherDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
function localMoments(root) {
  for (const each of root.querySelectorAll("time[datetime]")) {
    const at = new Date(each.dateTime);
    const same = at.toDateString() === new Date().toDateString();
    const text = (same ? "today " + today.format(at) : otherDay.format(at));
    if (each.textContent !== text) { each.title = each.dateTime; each.textContent = text; }
  }
}

// On a phone the links of the head are wider than it is: show where one is.
const here = document.querySelector(".top nav [aria-current]");
if (here) here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.offsetLeft - 40;

// A new schedule runs on the reader's own clock, unless another was named.
const clock = document.querySelector("#timezone[data-guess]");
if (clock) clock.value = Intl.DateTimeFormat().resolvedOptions().timeZone || clock.value;

// After every change of the page.
function settle() {
  localMoments(document);
  countColumns();
}
// What a button added is where the work goes on.
const ADDED = {
  "add-condition": (group) => `[name^="where.${group || 0}."][name$=".column"]`,
  "add-group": () => '[name^="where."][name$=".column"]',
  "add-sort": () => '[name^="sort."][name$=".column"]',
  "add-by": () => '[name="by"]',
  "add-figure": () => '[name^="figure."][name$=".function"]',
};
function focusAdded(what) {
  const [name, place] = String(what || "").split(":");
  const found = name in ADDED ? [...document.querySelectorAll(ADDED[name](place))] : [];
  if (found.length) found.at(-1).focus();
}
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  settle();
  if (detail.requestConfig.parameters) focusAdded(detail.requestConfig.parameters.do);
  const fault = detail.target && document.querySelector("[data-focus]");
  if (fault && detail.requestConfig.verb === "post" && detail.target.id === "builder") {
    (document.querySelector("#builder [aria-invalid]") || fault).focus();
  }
});

// The list of columns: finding, ticking, moving. Alt with an arrow moves the column that has the focus.
function columnRows() { return [...document.querySelectorAll("#columns > li")]; }
function countColumns() {
  const count = document.getElementById("columns-count");
  if (!count) return;
  const all = columnRows().length, chosen = document.querySelectorAll("#columns input:checked").length;
  count.textContent = `${chosen.toLocaleString("en")} of ${all.toLocaleString("en")}`;
  findColumn();
}
function findColumn() {
  const field = document.getElementById("find-column");
  const wanted = field ? field.value.trim().toLowerCase() : "";
  for (const row of columnRows()) row.hidden = !row.querySelector("input").value.toLowerCase().includes(wanted);
}
function moveColumn(up) {
  const row = document.querySelector("#columns > li.now");
  if (!row) return say("Choose a column first: click it, or move to it with the keyboard.");
  const other = up ? row.previousElementSibling : row.nextElementSibling;
  if (!other) return;
  up ? other.before(row) : other.after(row);
  const box = row.querySelector("input");
  box.focus();
  row.scrollIntoView({ block: "nearest" });
  document.getElementById("columns-moved").disabled = false;
  box.dispatchEvent(new Event("change", { bubbles: true }));
}
document.addEventListener("focusin", ({ target }) => {
  const row = target.closest && target.closest("#columns > li");
  if (!row) return;
  for (const each of columnRows()) each.classList.toggle("now", each === row);
});
document.addEventListener("keydown", (event) => {
  if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown") && event.target.closest("#columns > li")) {
    event.preventDefault();
    moveColumn(event.key === "ArrowUp");
  }
});
document.addEventListener("input", ({ target }) => { if (target.id === "find-column") findColumn(); });
document.addEventListener("change", ({ target }) => { if (target.closest("#columns")) countColumns(); });

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.ask && !confirm(button.dataset.ask)) return event.preventDefault();
  if (button.dataset.columns === "up" || button.dataset.columns === "down") return moveColumn(button.dataset.columns === "up");
  if (button.dataset.columns) {
    for (const row of columnRows()) if (!row.hidden) row.querySelector("input").checked = button.dataset.columns === "all";
    countColumns();
    document.getElementById("columns").dispatchEvent(new Event("change", { bubbles: true }));
  }
  if (button.dataset.copy) {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      say("Copied.");
    } catch {
      getSelection().selectAllChildren(source); // no clipboard here: it is selected, Ctrl+C does the rest
      say("Selected. Press Ctrl+C to copy.");
    }
  }
});

// A morph keeps what the reader has opened, and what was typed or chosen after the request had left.
const TYPED = new Set(["value", "checked", "selected"]);
let answered = 0;
for (const kind of ["input", "change"]) {
  document.addEventListener(kind, ({ target }) => { target.touched = performance.now(); }, true);
}
document.addEventListener("htmx:beforeSend", ({ detail }) => { detail.xhr.left = performance.now(); });
document.addEventListener("htmx:beforeSwap", ({ detail }) => { answered = detail.xhr.left; });
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => {
  if (name === "open" && node.tagName === "DETAILS") return false;
  const field = node.tagName === "OPTION" ? node.closest("select") : node;
  return !(TYPED.has(name) && field && field.touched > answered);
};
settle();
