// Copy buttons, shown with JavaScript only; the text of each is on the page, and a download.
// Keys: / search, g o|p|s|r|x go to a page, j k Enter rows, ? help. Each has a link as well.
"use strict";

const rows = () => [...document.querySelectorAll("tbody tr")];
let selected = -1;
let prefix = false;

function select(step) {
  const all = rows();
  if (!all.length) return;
  all[selected]?.classList.remove("selected");
  selected = Math.min(Math.max(selected + step, 0), all.length - 1);
  all[selected].classList.add("selected");
  all[selected].scrollIntoView({ block: "nearest" });
  all[selected].querySelector("a")?.focus({ preventScroll: true });
}

function follow(key) {
  document.querySelector(`a[data-key="${CSS.escape(key)}"]`)?.click();
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (prefix) {
    prefix = false;
    follow(event.key);
  } else if (event.key === "g") {
    prefix = true;
  } else if (event.key === "/") {
    const field = document.querySelector("[data-search]");
    if (!field) return;
    event.preventDefault();
    field.focus();
  } else if (event.key === "j" || event.key === "k") {
    select(event.key === "j" ? 1 : -1);
  } else if (event.key === "Enter" && selected >= 0 && event.target === document.body) {
    rows()[selected]?.querySelector("a")?.click();
  } else if (event.key === "?") {
    follow("?");
  }
});

async function copy(button) {
  const target = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(target.textContent);
    button.textContent = "Copied";
  } catch {
    // Without a secure context there is no clipboard: the text is selected.
    target.closest("details").open = true;
    getSelection().selectAllChildren(target);
    button.textContent = "Selected: copy it now";
  }
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
