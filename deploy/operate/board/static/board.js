// Read the page again when its numbers are old, and replace the sections that differ. The page works without this file.
"use strict";
(() => {
  const pause = document.getElementById("pause");
  const offline = document.getElementById("offline");
  const parser = new DOMParser();
  let paused = false;
  let last = new Date();
  let timer = 0;

  // A reader who types or selects text keeps what is there.
  const busy = () => document.activeElement?.matches("input") || String(document.getSelection() ?? "") !== "";

  function replace(old, fresh) {
    const open = new Set([...old.querySelectorAll("details[open]")].map((one) => one.id));
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolled = [...old.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
    for (const one of fresh.querySelectorAll("details")) one.open = open.has(one.id);
    old.replaceWith(fresh);
    [...fresh.querySelectorAll(".scroll")].forEach((one, number) => { one.scrollLeft = scrolled[number] ?? 0; });
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  function show(next) {
    const main = document.getElementById("main");
    const fresh = next.getElementById("main");
    const ids = (one) => [...one.querySelectorAll("section")].map((section) => section.id).join();
    if (ids(main) !== ids(fresh)) {
      replace(main, document.adoptNode(fresh));
    } else {
      for (const section of fresh.querySelectorAll("section")) {
        const old = document.getElementById(section.id);
        const closed = section.innerHTML;
        if (old.dataset.shown !== closed) {
          const adopted = document.adoptNode(section);
          adopted.dataset.shown = closed;
          replace(old, adopted);
        }
      }
    }
    document.title = next.title;
    const time = next.querySelector("#asof time");
    if (time) document.querySelector("#asof time")?.replaceWith(document.adoptNode(time));
    document.body.dataset.seconds = next.body.dataset.seconds;
  }

  async function refresh() {
    if (paused || document.hidden || busy()) return plan();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const next = parser.parseFromString(await answer.text(), "text/html");
      if (!next.getElementById("main")) throw new Error("another page");
      show(next);
      last = new Date();
      offline.hidden = true;
    } catch {
      offline.hidden = false;
      const text = `The board does not answer; these numbers are of ${last.toISOString().slice(11, 19)} UTC.`;
      if (offline.textContent !== text) offline.textContent = text;
    }
    plan();
  }

  function plan() {
    clearTimeout(timer);
    timer = setTimeout(refresh, 1000 * Math.max(2, Number(document.body.dataset.seconds) || 5));
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Refresh again" : "Pause";
    if (!paused) refresh();
  });
  document.addEventListener("visibilitychange", refresh);
  plan();
})();
