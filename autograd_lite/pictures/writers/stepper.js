"use strict";
(() => {
  const { prefix, steps, targets } = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const figure = byId("figure");
  const image = figure.querySelector("img");
  const bytes = Uint8Array.from(atob(image.src.split(",")[1]), (c) => c.charCodeAt(0));
  const parsed = new DOMParser().parseFromString(new TextDecoder().decode(bytes), "image/svg+xml");
  const svg = document.importNode(parsed.documentElement, true);
  figure.replaceChild(svg, image);

  const { width: wide, height: high } = svg.viewBox.baseVal;
  const boxes = new Map();
  const edges = new Map();
  for (const g of svg.querySelectorAll("g.box")) boxes.set(g.id.slice(prefix.length + 4), g);
  for (const g of svg.querySelectorAll("g.edge")) edges.set(g.id.slice(prefix.length + 5), g);
  const part = (g, name) => g.querySelector(`:scope > text.${name === "new" ? "note" : name}`);
  // How a line begins: "f = 3", or "f: 1 … 2" in a box that stands for many.
  const openings = new Map();
  for (const text of svg.querySelectorAll("g.box > text.f, g.box > text.g")) {
    openings.set(text, (text.textContent.match(/^[fg](?: = |: )/) || [""])[0]);
  }
  // A box or a circle; a circle may have no name, and the bare number in a box has none.
  const outline = (g) => g.querySelector(":scope > circle, :scope > rect");
  // By its attributes: a frame that is not shown yet has no layout to measure.
  const area = (g) => {
    const shape = outline(g);
    const [x, y, width, height] = (shape.localName === "circle" ? ["cx", "cy", "r", "r"] : ["x", "y", "width", "height"])
      .map((name) => shape[name].baseVal.value);
    return shape.localName === "circle" ? { x: x - width, y: y - width, width: 2 * width, height: 2 * width } : { x, y, width, height };
  };
  const literal = (g) => part(g, "title") === null && outline(g).localName === "rect";
  const updated = new Set(steps.filter((s) => s.part === "new").flatMap((s) => Object.keys(s.fills)));
  for (const i of updated) part(boxes.get(i), "new").classList.add("new");

  function write(g, name, value) {
    const text = part(g, name);
    if (!text) return;
    text.textContent = (name === "new" ? "→ " : openings.get(text)) + value;
    text.classList.remove("unset");
    const room = area(g).width - (outline(g).localName === "circle" ? 4 : 12);
    text.removeAttribute("textLength");
    if (text.getComputedTextLength() > room) {
      text.setAttribute("textLength", room);
      text.setAttribute("lengthAdjust", "spacingAndGlyphs");
    }
  }

  function pill(g, value) {
    // What is being added, on the lower edge of the operand's box.
    const rect = area(g);
    const made = document.createElementNS(svg.namespaceURI, "g");
    made.setAttribute("class", "plus");
    const text = document.createElementNS(svg.namespaceURI, "text");
    text.textContent = `+= ${value}`;
    text.setAttribute("font-size", "12");
    text.setAttribute("text-anchor", "middle");
    const ground = document.createElementNS(svg.namespaceURI, "rect");
    made.append(ground, text);
    svg.append(made);
    const width = text.getComputedTextLength() + 12;
    const middle = rect.x + rect.width / 2;
    const x = Math.max(width / 2 + 1, Math.min(middle, wide - width / 2 - 1));
    const y = rect.y + rect.height - 5;
    for (const [name, v] of Object.entries({ x: x - width / 2, y, width, height: 16, rx: 8 })) ground.setAttribute(name, v);
    text.setAttribute("x", x);
    text.setAttribute("y", y + 12);
  }

  // As large as the window has room for, within reason; a picture that would be too small to read scrolls.
  svg.style.minWidth = svg.style.maxWidth = svg.style.height = "";
  function fit() {
    const room = Math.min(figure.clientWidth / wide, (figure.clientHeight - 4) / high, 1.5);
    const scale = room < 0.75 ? Math.max(0.75, Math.min(1, figure.clientWidth / wide)) : room;
    svg.setAttribute("width", wide * scale);
    svg.setAttribute("height", high * scale);
  }

  function reveal(g) {
    const [view, box] = [figure.getBoundingClientRect(), g.getBoundingClientRect()];
    if (box.top < view.top) figure.scrollTop -= view.top - box.top + 40;
    if (box.bottom > view.bottom) figure.scrollTop += box.bottom - view.bottom + 40;
    if (box.left < view.left) figure.scrollLeft -= view.left - box.left + 40;
    if (box.right > view.right) figure.scrollLeft += box.right - view.right + 40;
  }

  const phases = [...new Set(steps.map((s) => s.phase))];
  const starts = phases.map((phase) => steps.findIndex((s) => s.phase === phase));
  const jumps = phases.map((phase, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = phase;
    button.textContent = phase;
    button.title = `To the ${phase} ${phase === "update" ? "of the parameters" : "pass"}`;
    button.addEventListener("click", () => { stop(); show(starts[i]); });
    byId("phases").append(button);
    return button;
  });

  let at = 0;
  let timer = null;

  function show(k) {
    at = Math.max(0, Math.min(steps.length - 1, k));
    const step = steps[at];
    svg.querySelectorAll(".plus").forEach((g) => g.remove());
    for (const [i, g] of boxes) {
      g.classList.remove("now", "takes", "forward", "backward", "update");
      g.querySelectorAll(".fresh").forEach((text) => text.classList.remove("fresh"));
      if (literal(g)) continue;
      g.classList.add("waiting");
      for (const name of ["f", "g"]) part(g, name)?.classList.add("unset");
      if (updated.has(i)) part(g, "new")?.classList.add("unset");
    }
    for (const g of edges.values()) {
      g.classList.remove("lit");
      g.querySelectorAll("text, rect").forEach((shape) => shape.classList.add("unset"));
    }
    for (let i = 0; i <= at; i += 1) {
      for (const [box, value] of Object.entries(steps[i].fills)) {
        const g = boxes.get(box);
        write(g, steps[i].part, value);
        g.classList.remove("waiting");
      }
    }
    for (const [i, g] of edges) {
      // A local gradient is known as soon as the node is computed.
      const target = boxes.get(String(targets[i]));
      if (!target.classList.contains("waiting")) g.querySelectorAll("text, rect").forEach((shape) => shape.classList.remove("unset"));
    }
    if (step.box !== null) boxes.get(String(step.box)).classList.add("now", step.phase);
    for (const box of Object.keys(step.fills)) part(boxes.get(box), step.part)?.classList.add("fresh");
    if (step.edge !== null) {
      edges.get(String(step.edge)).classList.add("lit");
      reveal(edges.get(String(step.edge)));
      for (const box of Object.keys(step.fills)) {
        reveal(boxes.get(box));
        boxes.get(box).classList.add("takes");
        if (step.plus !== null) pill(boxes.get(box), step.plus);
      }
    }
    if (step.box !== null) reveal(boxes.get(String(step.box)));
    const caption = byId("caption");
    caption.textContent = step.caption;
    caption.className = step.phase;
    const words = `Step ${at + 1} of ${steps.length}, ${step.phase}`;
    byId("place").textContent = words;
    const slider = byId("slider");
    slider.value = at;
    slider.setAttribute("aria-valuetext", `${words}: ${step.caption}`);
    byId("first").disabled = byId("back").disabled = at === 0;
    byId("last").disabled = byId("forward").disabled = at === steps.length - 1;
    jumps.forEach((button, i) => button.setAttribute("aria-current", phases[i] === step.phase));
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    byId("play").setAttribute("aria-pressed", "false");
    byId("play").textContent = "▶︎ Play";
  }

  function play() {
    if (timer !== null) return stop();
    if (at === steps.length - 1) show(0);
    byId("play").setAttribute("aria-pressed", "true");
    byId("play").textContent = "❙❙ Pause";
    timer = setInterval(() => {
      show(at + 1);
      if (at === steps.length - 1) stop();
    }, 1300);
  }

  const go = { first: () => 0, back: () => at - 1, forward: () => at + 1, last: () => steps.length - 1 };
  for (const [id, where] of Object.entries(go)) byId(id).addEventListener("click", () => { stop(); show(where()); });
  byId("play").addEventListener("click", play);
  byId("slider").addEventListener("input", (event) => { stop(); show(Number(event.target.value)); });
  const keys = { ArrowLeft: "back", ArrowRight: "forward", Home: "first", End: "last" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.id === "slider") return;
    if (event.key in keys) { stop(); show(go[keys[event.key]]()); } else if (event.key === " " && event.target.localName === "body") play(); else return;
    event.preventDefault();
  });
  byId("slider").max = steps.length - 1;
  byId("panel").hidden = false;
  fit();
  show(0);
  // Of the figure, not of the window: a notebook gives its frame a size after the script has run, and texts their length.
  new ResizeObserver(() => { fit(); show(at); }).observe(figure);
})();
