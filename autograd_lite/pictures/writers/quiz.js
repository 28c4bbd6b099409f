"use strict";
(() => {
  const { prefix, items, tolerance, part } = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const made = (name, text, kind) => Object.assign(document.createElement(name), { textContent: text, className: kind || "" });

  // What quizzes.py veiled: [answer, hint, working].
  function unveiled({ letter, secret }) {
    let state = [...letter].reduce((sum, c) => sum + c.codePointAt(0), 0) * 7919 + 17;
    const bytes = secret.map((byte) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return byte ^ (state >>> 24);
    });
    const [answer, ...rest] = new TextDecoder().decode(Uint8Array.from(bytes)).split("\n");
    return [answer, rest[0], rest.slice(1).join(" ")];
  }

  function numberOf(text) {
    const plain = text.trim().replace("\u2212", "-").replace(",", ".").toLowerCase();
    const words = { inf: Infinity, "-inf": -Infinity, infinity: Infinity, "-infinity": -Infinity, "\u221e": Infinity, "-\u221e": -Infinity };
    if (plain in words) return words[plain];
    const [top, bottom, more] = plain.split("/");
    if (top === "" || bottom === "" || more !== undefined) return NaN;
    return bottom === undefined ? Number(top) : Number(top) / Number(bottom);
  }

  function isRight(answer, given) {
    if (/^'.*'$/.test(answer)) return given.trim().toUpperCase() === answer.slice(1, -1);
    if (answer === "nan") return given.trim().toLowerCase() === "nan";
    const right = answer === "inf" ? Infinity : answer === "-inf" ? -Infinity : Number(answer);
    const x = numberOf(given);
    return x === right || Math.abs(x - right) <= tolerance * Math.max(Math.abs(x), Math.abs(right));
  }

  const rows = items.map((item) => {
    const row = made("li");
    const label = made("label");
    const field = made("input");
    Object.assign(field, { type: "text", id: `field-${item.letter}`, inputMode: part === "mistake" ? "text" : "decimal" });
    const verdict = made("span", "", "verdict");
    const hint = made("button", "Hint", "small");
    hint.type = "button";
    if (part !== "mistake") hint.setAttribute("aria-label", `Hint for ${item.letter}`);
    const said = made("p", "", "said");
    said.setAttribute("aria-live", "polite");
    label.append(made("b", part === "mistake" ? "" : item.letter), made("span", part === "mistake" ? "The letter of that box:" : `${item.asks} =`), field);
    const line = made("div");
    line.append(label, hint, verdict);
    row.append(line, said);
    byId("items").append(row);
    const state = { item, row, field, verdict, said, hints: 0, shown: false, right: false };
    hint.addEventListener("click", () => {
      state.hints = 1;
      said.textContent = unveiled(item)[1];
      tell();
    });
    return state;
  });

  function mark(state) {
    const given = state.field.value;
    state.row.className = "";
    state.verdict.textContent = "";
    if (given.trim() === "") { state.right = false; return; }
    state.right = isRight(unveiled(state.item)[0], given);
    state.row.className = state.right ? "right" : "wrong";
    state.verdict.textContent = state.right ? "\u2713 right" : "\u2717 not yet";
    state.field.setAttribute("aria-invalid", String(!state.right));
    write(state, state.right ? given.trim() : `${state.item.letter} ?`);
  }

  // A right answer takes its place in the picture.
  function write({ item }, text) {
    const [kind, index] = item.where;
    if (kind === "picture") return;
    const group = document.getElementById(`${prefix}-${kind}${index}`);
    const blank = [...(group?.querySelectorAll("text") ?? [])].find((x) => x.dataset.blank === item.letter || new RegExp(`(^|\\s)${item.letter} \\?$`).test(x.textContent));
    if (!blank) return;
    blank.dataset.blank = item.letter;
    blank.dataset.text ??= blank.textContent;
    blank.removeAttribute("textLength");
    blank.textContent = text.endsWith("?") ? blank.dataset.text : blank.dataset.text.replace(/\S+ \?$/, text);
  }

  function tell() {
    const right = rows.filter((x) => x.right && !x.shown).length;
    const helped = rows.filter((x) => x.right && !x.shown && x.hints).length;
    const shown = rows.filter((x) => x.shown).length;
    let text = `${right} of ${rows.length} right`;
    if (helped) text += `, ${helped} with a hint`;
    if (shown) text += `, ${shown} shown`;
    if (right === rows.length) text += helped ? "." : ": all by yourself!";
    byId("score").textContent = text;
  }

  // Not the form's submit event: the frame of a notebook allows scripts, but no form to be sent.
  function check() {
    rows.forEach(mark);
    tell();
    rows.find((x) => !x.right)?.field.focus();
  }
  byId("check").addEventListener("click", check);
  byId("items").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
    event.preventDefault();
    check();
  });
  byId("form").addEventListener("reset", () => {
    for (const state of rows) {
      Object.assign(state, { hints: 0, shown: false, right: false });
      state.row.className = state.verdict.textContent = state.said.textContent = "";
      state.field.removeAttribute("aria-invalid");
      write(state, `${state.item.letter} ?`);
    }
    byId("score").textContent = "";
  });
  // From the root: the last blanks are asked for first where the pass goes back.
  const path = part === "g" || part === "local" ? [...rows].reverse() : rows;
  byId("next").addEventListener("click", () => {
    const state = path.find((x) => !x.right);
    if (!state) return;
    const [answer, , working] = unveiled(state.item);
    state.shown = true;
    state.field.value = /^-?[\d.]+(e[-+]?\d+)?$/.test(answer) ? String(Number(Number(answer).toPrecision(6))) : answer.replace(/^'|'$/g, "");
    mark(state);
    state.said.textContent = working;
    tell();
  });
  byId("form").hidden = false;
})();
