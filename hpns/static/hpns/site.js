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

  function times(which = "time[data-time]") {
    if (document.hidden) return;
    for (const element of document.querySelectorAll(which)) {
      const at = new Date(element.dateTime);
      if (isNaN(at)) continue;
      const kind = element.dataset.time;
      const text = kind === "second" ? exact.format(at) : (kind !== "exact" && relative((Date.now() - at) / 1000)) || long.format(at);
      if (element.textContent !== text) element.textContent = text;
      element.title = exact.format(at);
    }
    for (const element of document.querySelectorAll("[data-zone]")) element.textContent = zone;
  }

  function show() {
    times();
    for (const element of document.querySelectorAll("[data-script]")) element.hidden = false;
  }

  // What is folded in the section that an address names is what it leads to.
  function unfold() {
    const named = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    const folded = named && named.closest("section")?.querySelector("details.fold");
    if (folded) folded.open = true;
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
    // Not a class: htmx settles those of the elements that it exchanges.
    document.getElementById(id).toggleAttribute("data-shown", shown);
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
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input, textarea, select, [contenteditable]")) {
      const search = document.getElementById("search");
      if (search) {
        event.preventDefault();
        search.select();
      }
    }
    if (event.key !== "Escape") return;
    for (const menu of menus()) {
      menu.open = false;
      if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    }
  });
  document.addEventListener("focusin", (event) => {
    for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
  });
  const polls = (part) => /every/.test(part.getAttribute("hx-trigger") || "");

  function selectedIn(part) {
    const chosen = getSelection();
    return !chosen.isCollapsed && part.contains(chosen.anchorNode);
  }

  // What somebody holds in a part that is about to be exchanged: the focus, and what is folded open. By the place among
  // its like and its address, for links have no ids.
  function held(part) {
    const focus = part.contains(document.activeElement) ? document.activeElement : null;
    const alike = focus ? [...part.querySelectorAll(focus.tagName)] : [];
    return {
      open: [...part.querySelectorAll("details[open][id]")].map((each) => each.id),
      focus: focus && { tag: focus.tagName, id: focus.id, href: focus.getAttribute("href"), place: alike.indexOf(focus) },
    };
  }

  function holdAgain(part, { open, focus }) {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (!focus || part.contains(document.activeElement)) return;
    const alike = [...part.querySelectorAll(focus.tag)];
    const same = alike.filter((each) => each.getAttribute("href") === focus.href);
    const found = (focus.id && document.getElementById(focus.id)) || (same.includes(alike[focus.place]) && alike[focus.place]) || same[0] || alike[focus.place];
    found?.focus({ preventScroll: true });
  }

  // The line of a part that asks by itself (parts/live.html): when it was last known to be as it is, or that it is not.
  function asked(well) {
    for (const late of document.querySelectorAll("[data-late]")) late.hidden = well;
    if (well) for (const time of document.querySelectorAll(".live time")) time.dateTime = new Date().toISOString();
    times();
  }

  // When somebody was last seen at this page: one that was left open asks for an hour, and again once it is touched.
  let touched = Date.now();
  for (const kind of ["pointermove", "pointerdown", "keydown", "scroll"])
    addEventListener(kind, () => { touched = Date.now(); }, { capture: true, passive: true });
  const left = () => Date.now() - touched > 3600_000;

  const holding = new Map();
  // A part that asks by itself rests while nobody looks, wants it to, or is marking something in it.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.target;
    if (polls(part) && (paused || document.hidden || left() || selectedIn(part))) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target } = event.detail;
    if (xhr.status === 304) {
      event.detail.shouldSwap = false;
      asked(true);
    } else if (target.id) holding.set(target.id, held(target));
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const [id, what] of holding) {
      const part = document.getElementById(id);
      if (part) holdAgain(part, what);
    }
    holding.clear();
  });
  for (const fault of ["htmx:responseError", "htmx:sendError", "htmx:timeout"])
    document.addEventListener(fault, (event) => { if (polls(event.target)) asked(false); });
  // At once: what shows a moment later moves what is below it.
  document.addEventListener("htmx:afterSwap", shownAgain);
  document.addEventListener("htmx:afterSettle", show);
  // A script that puts what comes in place itself says whether it could.
  document.addEventListener("hpns:shown", ({ detail }) => {
    asked(detail);
    show();
  });
  document.addEventListener("visibilitychange", () => times());
  setInterval(times, 10000);
  setInterval(() => times(".live time"), 1000);
  addEventListener("hashchange", unfold);
  unfold();
  show();
})();
