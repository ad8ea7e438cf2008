"use strict";
// What the pages do better with a script: times in the viewer's zone, copying, menus, live parts that can be paused.
// Each page works without.
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  // Pages that count by day, or take a time, do so in the viewer's zone (delivery/pages/filters.py).
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `tz=${zone}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  const long = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
  const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });
  const units = [[60, "s"], [3600, "min"], [86400, "h"]];

  function relative(seconds) {
    const age = Math.abs(seconds);
    if (age >= 86400) return null;
    if (age < 1) return "now";
    const place = units.findIndex(([limit]) => age < limit);
    const text = `${Math.floor(age / (place ? units[place - 1][0] : 1))} ${units[place][1]}`;
    return seconds < 0 ? `in ${text}` : `${text} ago`;
  }

  function times() {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("time[data-time]")) {
      const at = new Date(element.dateTime);
      if (isNaN(at)) continue;
      const text = (element.dataset.time !== "exact" && relative((Date.now() - at) / 1000)) || long.format(at);
      if (element.textContent !== text) element.textContent = text;
      element.title = exact.format(at);
    }
    for (const element of document.querySelectorAll("[data-zone]")) element.textContent = zone;
  }

  function show() {
    times();
    for (const element of document.querySelectorAll("[data-script]")) element.hidden = false;
  }

  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    const said = button.querySelector("[data-said]");
    try {
      await navigator.clipboard.writeText(code.textContent);
      said.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      said.textContent = "Selected";
    }
    setTimeout(() => { said.textContent = "Copy"; }, 2000);
  }

  // The tables of charts that are shown, by their id: a part that is exchanged keeps them so.
  const tables = new Set();

  function figures(button, shown) {
    const id = button.dataset.figures;
    tables[shown ? "add" : "delete"](id);
    button.setAttribute("aria-expanded", shown);
    button.textContent = shown ? "Hide table" : "Show table";
    document.getElementById(id).classList.toggle("shown", shown);
  }

  function shownAgain() {
    for (const button of document.querySelectorAll("[data-figures]")) if (tables.has(button.dataset.figures)) figures(button, true);
  }

  const menus = () => document.querySelectorAll("details.menu[open]");
  let paused = false;

  document.addEventListener("click", (event) => {
    for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
    const found = event.target.closest("[data-copy], [data-dismiss], [data-pause], [data-figures]");
    if (!found) return;
    const { dataset } = found;
    if ("copy" in dataset) copy(found);
    else if ("figures" in dataset) figures(found, found.getAttribute("aria-expanded") !== "true");
    else if ("dismiss" in dataset) found.closest(".notice").remove();
    else {
      paused = !paused;
      found.setAttribute("aria-pressed", paused);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of menus()) {
      menu.open = false;
      if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    }
  });
  document.addEventListener("focusin", (event) => {
    for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
  });
  // A part that asks by itself rests while nobody looks, or wants it to.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const polls = /every/.test(event.target.getAttribute("hx-trigger") || "");
    if (polls && (paused || document.hidden)) event.preventDefault();
  });
  // At once: what shows a moment later moves what is below it.
  document.addEventListener("htmx:afterSwap", shownAgain);
  document.addEventListener("htmx:afterSettle", show);
  document.addEventListener("visibilitychange", times);
  setInterval(times, 10000);
  show();
})();
