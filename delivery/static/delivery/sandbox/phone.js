// Keeps the phones up to date: an event says that something came, the live part is fetched and fitted in where it
// differs, so that focus, open details and scroll stay. Without this file the page reads the same, as of its loading.
"use strict";

const live = document.getElementById("live");
const updated = document.getElementById("updated");
const pause = document.getElementById("pause");
const lost = document.getElementById("lost");
const news = document.getElementById("news");
const REFRESH = 15000; // also without news: a call stops ringing, relative times change
let source = null;
let paused = false;
let busy = false;
let again = false;
let lostSince = null;

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

function relative(then) {
  const seconds = Math.max(0, Math.round((Date.now() - then) / 1000));
  if (seconds < 2) return "now";
  if (seconds < 60) return seconds + " s ago";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min ago";
  if (seconds < 86400) return Math.floor(seconds / 3600) + " h ago";
  return exact.format(then);
}

function times() {
  for (const time of document.querySelectorAll("time")) {
    const then = new Date(time.dateTime);
    const text = time.hasAttribute("data-clock") ? clock.format(new Date()) : relative(then);
    if (time.textContent !== text) time.textContent = text;
    if (!time.hasAttribute("data-clock")) time.title = exact.format(then);
  }
}

function key(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.dataset.key || "" : "";
}

function fit(old, fresh) {
  for (const { name, value } of [...fresh.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open" && name !== "title" && name !== "hidden") old.removeAttribute(name);
  }
  const keyed = new Map([...old.childNodes].filter(key).map((node) => [key(node), node]));
  let place = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    const wanted = key(node);
    let match = wanted ? keyed.get(wanted) : place;
    if (match && !wanted && (key(match) || match.nodeName !== node.nodeName)) match = null;
    if (match && match.nodeName !== node.nodeName) match = null;
    if (!match) {
      if (node.classList && !paused) for (const card of [node, ...node.querySelectorAll(".card")]) card.classList.toggle("new", card.classList.contains("card"));
      old.insertBefore(node, place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else old.insertBefore(match, place);
    keyed.delete(wanted);
    if (match.nodeType !== Node.ELEMENT_NODE) {
      if (match.data !== node.data) match.data = node.data;
    } else if (match.nodeName !== "TIME" || match.getAttribute("datetime") !== node.getAttribute("datetime")) {
      fit(match, node);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function connected() {
  lostSince = null;
  lost.hidden = true;
}

function disconnected() {
  lostSince = lostSince || new Date();
  lost.textContent = "The connection to the sandbox is lost since " + clock.format(lostSince) + ". It is tried again every second; what is shown may be old.";
  lost.hidden = false;
}

async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const answer = await fetch("/live", { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString("<div>" + (await answer.text()) + "</div>", "text/html");
    const before = live.querySelector(".sentence").textContent;
    fit(live, Object.assign(page.body.firstElementChild, { id: "live", tabIndex: -1 }));
    const after = live.querySelector(".sentence").textContent;
    if (before !== after) news.textContent = after;
    updated.dateTime = new Date().toISOString();
    dress();
    connected();
  } catch {
    disconnected();
  }
  busy = false;
  if (again) {
    again = false;
    refresh();
  }
}

function dress() {
  for (const button of document.querySelectorAll(".copy")) button.hidden = !navigator.clipboard;
  times();
}

function listen() {
  if (source || paused || document.hidden) return;
  source = new EventSource("/api/events");
  source.onmessage = refresh;
  source.onopen = connected;
  source.onerror = () => {
    disconnected();
    if (source && source.readyState === EventSource.CLOSED) {
      silence();
      setTimeout(listen, 1000);
    }
  };
}

function silence() {
  if (source) source.close();
  source = null;
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Resume" : "Pause";
  if (paused) silence();
  else listen();
});
document.addEventListener("visibilitychange", () => (document.hidden ? silence() : listen()));
document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
  button.firstChild.data = "Copied";
  setTimeout(() => { button.firstChild.data = "Copy"; }, 2000);
});
document.getElementById("zone").textContent = Intl.DateTimeFormat().resolvedOptions().timeZone || "your time zone";
setInterval(times, 1000);
setInterval(() => { if (source && !lostSince) refresh(); }, REFRESH);
dress();
listen();
