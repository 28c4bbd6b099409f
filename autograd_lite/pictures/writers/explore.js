"use strict";
(() => {
  const { sliders, boxes, prefix } = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const drawn = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
  const number = (x) => {
    if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : x > 0 ? "∞" : "−∞";
    // As the pictures write it: four digits, and a power of ten below 10⁻⁴ and from 10⁴ on.
    const [digits, power] = x.toExponential(3).split("e");
    const far = Number(power) < -4 || Number(power) >= 4;
    const text = far ? `${Number(digits)}×10${[...String(Number(power))].map((c) => RAISED[c]).join("")}` : String(Number(x.toPrecision(4)));
    return text.replace("-", "−");
  };
  const n = boxes.length;

  // [values of the nodes, gradients of the nodes, gradients of the arguments]
  function run(xs) {
    const found = compute_values(...xs.map((x) => [x]));
    return [found.slice(0, n), found.slice(n, 2 * n), found.slice(2 * n)];
  }

  const rows = sliders.map((s, i) => {
    const row = Object.assign(document.createElement("div"), { className: "row" });
    const pick = Object.assign(document.createElement("input"), { type: "radio", name: "axis", checked: i === 0 });
    pick.setAttribute("aria-label", `Plot along ${s.name}`);
    const label = Object.assign(document.createElement("label"), { textContent: s.name, htmlFor: `slider-${i}` });
    const slider = Object.assign(document.createElement("input"), { type: "range", id: `slider-${i}`, min: s.low, max: s.high, step: s.step, value: s.start });
    const field = Object.assign(document.createElement("input"), { type: "number", step: "any", value: s.start });
    field.setAttribute("aria-label", `${s.name} as a number`);
    const slope = document.createElement("output");
    row.append(pick, label, slider, field, slope);
    byId("sliders").append(row);
    const state = { x: s.start, pick, slider, field, slope, ...s };
    slider.addEventListener("input", () => { state.x = Number(slider.value); field.value = Number(state.x.toPrecision(6)); show(); });
    field.addEventListener("input", () => {
      if (field.value === "" || !Number.isFinite(Number(field.value))) return;
      state.x = Number(field.value);
      slider.value = state.x;
      show();
    });
    pick.addEventListener("change", show);
    return state;
  });

  function write(box, part, x) {
    const text = document.getElementById(`${prefix}-box${box}`)?.querySelector(`text.${part}`);
    if (!text) return;
    text.removeAttribute("textLength");
    text.textContent = `${part} = ${number(x)}`;
  }

  function plot(xs, at, value, slope) {
    const wide = 420, high = 300, left = 80, bottom = 26, { low, high: top, name } = rows[at];
    const points = Array.from({ length: 241 }, (_, k) => {
      const x = low + ((top - low) * k) / 240;
      return [x, run(xs.map((other, i) => (i === at ? x : other)))[0][n - 1]];
    });
    const finite = points.map(([, y]) => y).concat(value).filter(Number.isFinite).sort((a, b) => a - b);
    const svg = byId("curve");
    svg.querySelectorAll(":not(title)").forEach((shape) => shape.remove());
    if (!finite.length) return;
    // A pole would squeeze everything else: 2% at both ends may leave the picture.
    let min = Math.min(finite[Math.floor(0.02 * finite.length)], value), max = Math.max(finite[Math.ceil(0.98 * finite.length) - 1], value);
    if (!(max > min)) { min -= 1; max += 1; }
    const room = 0.06 * (max - min);
    min -= room; max += room;
    const px = (x) => left + ((x - low) / (top - low)) * (wide - left - 10);
    const py = (y) => 10 + ((max - y) / (max - min)) * (high - bottom - 10);
    const clip = (y) => Math.max(-1e4, Math.min(1e4, y));
    let path = "", open = false;
    for (const [x, y] of points) {
      open = open && Number.isFinite(y);
      if (Number.isFinite(y)) { path += `${open ? "L" : "M"}${px(x).toFixed(1)},${clip(py(y)).toFixed(1)}`; open = true; }
    }
    const axis = { stroke: "#8a919e", "stroke-width": 1 };
    svg.append(drawn("line", { x1: left, x2: wide - 10, y1: high - bottom, y2: high - bottom, ...axis }));
    svg.append(drawn("line", { x1: left, x2: left, y1: 10, y2: high - bottom, ...axis }));
    const words = [[left, high - 8, "start", number(low)], [wide - 10, high - 8, "end", number(top)], [(left + wide) / 2, high - 8, "middle", name],
      [left - 4, high - bottom, "end", number(min + room)], [left - 4, 20, "end", number(max - room)]];
    for (const [x, y, anchor, text] of words) {
      const element = drawn("text", { x, y, "text-anchor": anchor, "font-size": 12, fill: "#1a1a1a" });
      element.textContent = text;
      svg.append(element);
    }
    svg.append(drawn("path", { d: path, fill: "none", stroke: "#0072b2", "stroke-width": 2 }));
    if (Number.isFinite(value) && Number.isFinite(slope)) {
      const x = rows[at].x, reach = (top - low) / 5;
      svg.append(drawn("line", { x1: px(x - reach), y1: clip(py(value - slope * reach)), x2: px(x + reach), y2: clip(py(value + slope * reach)), stroke: "#d55e00", "stroke-width": 2, "stroke-dasharray": "5 3" }));
      svg.append(drawn("circle", { cx: px(x), cy: clip(py(value)), r: 5, fill: "#d55e00" }));
    }
  }

  function show() {
    const xs = rows.map((row) => row.x);
    const [f, g, slopes] = run(xs);
    boxes.forEach((box, k) => { write(box, "f", f[k]); write(box, "g", g[k]); });
    rows.forEach((row, i) => { row.slope.textContent = `∂f/∂${row.name} = ${number(slopes[i])}`; });
    byId("result").textContent = `f = ${number(f[n - 1])}`;
    const at = rows.findIndex((row) => row.pick.checked);
    plot(xs, at, f[n - 1], slopes[at]);
  }
  show();
})();
