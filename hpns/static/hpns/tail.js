"use strict";
// The live tail: htmx asks for its rows ([data-tail]), and here they are put in place one by one. A row that stays is
// the same element, so that it keeps the focus and the place under the hand.
(() => {
  function place(old, fresh) {
    const body = old.querySelector("tbody");
    const rows = fresh.querySelector("tbody");
    if (!body || !rows) {
      old.replaceChildren(...fresh.childNodes);
      return;
    }
    old.querySelector("[data-tail-waits]").replaceWith(fresh.querySelector("[data-tail-waits]"));
    const top = [...body.rows].find((row) => row.getBoundingClientRect().bottom > 0);
    const before = top && top.getBoundingClientRect().top;
    const there = new Map([...body.rows].map((row) => [row.dataset.key, row]));
    const coming = new Set([...rows.rows].map((row) => row.dataset.key));
    // What somebody stands on stays until they leave it.
    for (const [key, row] of there) if (!coming.has(key) && !row.contains(document.activeElement)) row.remove();
    let next = body.firstElementChild;
    for (const row of [...rows.rows]) {
      const known = there.get(row.dataset.key);
      const same = known && known.dataset.state === row.dataset.state;
      if (known && known === next) next = next.nextElementSibling;
      if (same && known.nextElementSibling === next) continue;
      const focused = known && known.contains(document.activeElement) ? document.activeElement.id : "";
      body.insertBefore(same ? known : row, next);
      if (known && !same) known.remove();
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    }
    // Browsers keep the place by themselves where they can; Safari does not.
    if (top && top.isConnected && scrollY > 0) scrollBy(0, top.getBoundingClientRect().top - before);
  }

  document.addEventListener("htmx:configRequest", ({ target, detail }) => {
    if (target.dataset.tail) detail.headers["If-None-Match"] = target.dataset.tail;
  });
  document.addEventListener("htmx:beforeSwap", ({ target, detail }) => {
    if (!("tail" in target.dataset)) return;
    detail.shouldSwap = false;
    const { xhr } = detail;
    if (xhr.status !== 200) return;
    // A page of a proxy's in between has no rows.
    const found = new DOMParser().parseFromString(xhr.responseText, "text/html").querySelector("[data-tail-rows]");
    if (found) {
      target.dataset.tail = xhr.getResponseHeader("ETag") || "";
      place(target.querySelector("[data-tail-rows]"), document.importNode(found, true));
    }
    document.dispatchEvent(new CustomEvent("hpns:shown", { detail: Boolean(found) }));
  });
})();
