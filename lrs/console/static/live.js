// Prepends the items of server-sent events to the table of the live page, until "Pause".
"use strict";

const table = document.getElementById("live");
const state = document.getElementById("live-state");
const pause = document.getElementById("live-pause");
const MAX_ROWS = 500;
let source = null;
let lastId = "";

function cell(row, content) {
  const added = row.insertCell();
  if (content instanceof Node) added.append(content);
  else added.textContent = content || "\u2013";
}

function element(name, text, attributes) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function add(item) {
  const row = table.tBodies[0].insertRow(0);
  const own = table.dataset.own;
  const isRefused = Boolean(item.refusal_id);
  const shown = item.at.slice(0, 19).replace("T", " ");
  cell(row, element("time", shown, { datetime: item.at }));
  cell(row, element("span", item.outcome, { class: isRefused ? "state bad" : "state" }));
  const href = isRefused ? `${own}/refusals/${item.refusal_id}` : `${own}/statements/${item.statement_id}`;
  cell(row, element("a", isRefused ? `${item.code} ${item.pointer}` : item.statement_id, { href }));
  cell(row, item.source);
  cell(row, item.credential);
  cell(row, item.organization);
}

function start() {
  const url = new URL(table.dataset.events, location.href);
  if (lastId) url.searchParams.set("after", lastId);
  source = new EventSource(url);
  source.addEventListener("open", () => { state.textContent = "Connected."; });
  source.addEventListener("error", () => { state.textContent = "Not connected; trying again."; });
  source.addEventListener("end", (event) => {
    source.close();
    state.textContent = `Ended: ${event.data}. Reload the page.`;
  });
  source.addEventListener("message", (event) => {
    lastId = event.lastEventId;
    JSON.parse(event.data).forEach(add);
    while (table.tBodies[0].rows.length > MAX_ROWS) table.tBodies[0].lastElementChild.remove();
  });
  pause.textContent = "Pause";
}

pause.hidden = false;
pause.addEventListener("click", () => {
  if (source) {
    source.close();
    source = null;
    state.textContent = "Paused.";
    pause.textContent = "Continue";
  } else {
    start();
  }
});
start();
