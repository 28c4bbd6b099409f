"use strict";
(() => {
  const { targets, labels, focus, views } = JSON.parse(document.getElementById("data").textContent);
  if (views < 2) return;
  const byId = (id) => document.getElementById(id);

  function show(n, said) {
    for (let i = 0; i < views; i += 1) byId(`view${i}`).hidden = i !== n;
    byId("says").textContent = said;
  }

  for (const [id, n] of Object.entries(targets)) {
    const g = byId(id);
    g.setAttribute("role", "button");
    g.setAttribute("tabindex", "0");
    g.setAttribute("aria-label", labels[id]);
    const go = (event) => {
      event.preventDefault();
      show(n, labels[id]);
      // What is focused goes out of sight: go on with what was opened or closed, as it is in this view.
      byId(focus[id])?.focus({ preventScroll: true });
    };
    g.addEventListener("click", go);
    g.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") go(event); });
  }
  // In a picture that is a group of shapes to screen readers, its buttons are reached.
  for (const svg of document.querySelectorAll(".view[id]:not(#view0) > svg")) svg.setAttribute("role", "group");
  byId("all").addEventListener("click", () => show(0, "The whole picture"));
  byId("none").addEventListener("click", () => show(1, "Every frame closed"));
  byId("bar").hidden = false;
})();
