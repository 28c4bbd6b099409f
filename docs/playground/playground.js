/* The page: an editor at the left, what the program computes at the right.

   Programs run in a worker (worker.js, page.py). What they give back is shown as text, as an image, or as a page in a
   sandboxed frame: never as markup of this page. */

import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { EditorState, StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { tagHighlighter, tags } from "@lezer/highlight";
import examples from "examples";

const WAIT = 350; // milliseconds after the last letter
const LIMIT = 10_000; // milliseconds that a program may run
const LONGEST = 100_000; // characters of a program in a link
const BASE = new URL("./", location.href).href.split("#")[0];

const at = (id) => document.getElementById(id);

function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
}

// --- the program in a link ------------------------------------------------------------------------------------

async function packed(text) {
    const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    let binary = "";
    for (const byte of bytes) binary += String.fromCharCode(byte);
    return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The program of a link; it is unpacked piece by piece, and no further than it may be long. */
async function unpacked(code) {
    const bytes = Uint8Array.from(atob(code.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let text = "";
    for (;;) {
        const { done, value } = await reader.read();
        if (done) return text + decoder.decode();
        text += decoder.decode(value, { stream: true });
        if (text.length > LONGEST) {
            await reader.cancel();
            throw new Error(`it is longer than ${LONGEST.toLocaleString("en")} characters`);
        }
    }
}

// --- the editor -----------------------------------------------------------------------------------------------

const markWrong = StateEffect.define();
const wrongLine = StateField.define({
    create: () => Decoration.none,
    update(marks, transaction) {
        marks = transaction.docChanged ? Decoration.none : marks;
        for (const effect of transaction.effects) {
            if (effect.is(markWrong)) {
                marks = effect.value === null ? Decoration.none
                    : Decoration.set([Decoration.line({ class: "cm-wrong" }).range(effect.value)]);
            }
        }
        return marks;
    },
    provide: (field) => EditorView.decorations.from(field),
});

const colours = tagHighlighter([
    { tag: [tags.keyword, tags.operatorKeyword, tags.controlKeyword, tags.moduleKeyword, tags.definitionKeyword], class: "tok-keyword" },
    { tag: [tags.string, tags.special(tags.string)], class: "tok-string" },
    { tag: [tags.number, tags.bool, tags.null], class: "tok-number" },
    { tag: tags.comment, class: "tok-comment" },
    { tag: [tags.function(tags.definition(tags.variableName)), tags.definition(tags.className)], class: "tok-def" },
]);

const editor = new EditorView({
    parent: at("editor"),
    state: EditorState.create({
        doc: examples[0].source,
        extensions: [
            lineNumbers(), highlightActiveLineGutter(), history(), drawSelection(), indentOnInput(), bracketMatching(),
            closeBrackets(), highlightActiveLine(), indentUnit.of("    "), python(), syntaxHighlighting(colours),
            lintGutter(), wrongLine, EditorView.lineWrapping, EditorView.cspNonce.of(STYLE_NONCE),
            EditorView.contentAttributes.of({ "aria-label": "Program, in Python", spellcheck: "false" }),
            keymap.of([
                { key: "Mod-Enter", run: () => { pressedRun(); return true; } },
                ...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab,
            ]),
            EditorView.updateListener.of((update) => { if (update.docChanged) typed(); }),
        ],
    }),
});

const source = () => editor.state.doc.toString();

function setSource(text) {
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
}

function showError(error) {
    const box = at("trouble");
    box.hidden = !error;
    box.textContent = error ? `Line ${error.line}: ${error.text}` : "";
    if (!error) {
        editor.dispatch({ effects: markWrong.of(null) });
        editor.dispatch(setDiagnostics(editor.state, []));
        return;
    }
    const line = editor.state.doc.line(Math.min(error.line, editor.state.doc.lines));
    const from = Math.min(line.from + Math.max(error.column - 1, 0), line.to);
    editor.dispatch({ effects: markWrong.of(line.from) });
    editor.dispatch(setDiagnostics(editor.state, [{ from, to: line.to, severity: "error", message: error.text }]));
}

// --- the worker -----------------------------------------------------------------------------------------------

const dark = matchMedia("(prefers-color-scheme: dark)");
let worker = null, ready = false, busy = null, waiting = null, timer = 0, count = 0;
let view = "graph", value = "", option = "", linked = false, ran = null;

function status(text, working = false) {
    at("status").textContent = text;
    at("status").classList.toggle("busy", working);
}

/** Starts Python. The worker is a blob, which has the policy of this page, and so can ask no other host. */
function startWorker(words) {
    ready = false;
    const blob = new Blob([`import ${JSON.stringify(`${BASE}worker.js`)};`], { type: "text/javascript" });
    const url = URL.createObjectURL(blob);
    worker = new Worker(url, { type: "module" });
    worker.onmessage = ({ data }) => heard(data, words);
    worker.onerror = (event) => failed(event.message);
    worker.postMessage({ base: BASE });
}

function failed(text) {
    status(`Python could not be loaded${text ? `: ${text}` : ""}. Reload the page to try again.`);
}

function heard(data, words) {
    if (data.failed !== undefined) {
        failed(data.failed);
    } else if (data.ready) {
        ready = true;
        document.body.dataset.started = Math.round(data.took);
        status(words || `Python is ready (${(data.took / 1000).toFixed(1)} s).`);
        if (waiting) next();
    } else if (busy && data.id === busy.id) {
        clearTimeout(timer);
        const job = busy;
        busy = null;
        for (const text of data.answers) answered(JSON.parse(text), job, data.took);
        document.body.dataset.done = data.id;
        next();
    }
}

/** Asks the worker; of several questions that wait only the last is asked. */
function ask(job) {
    // A program that waits is not dropped for a tab that was opened meanwhile: it is run, and shown in that tab.
    if (waiting && waiting.do === "run" && job.do !== "run") job = { ...job, do: "run", source: waiting.source };
    waiting = job;
    if (ready && !busy) next();
    else if (!ready) status("Python is loading; the program runs as soon as it is there.", true);
}

function next() {
    if (!waiting || !ready || busy) return;
    busy = { view, value, option, dark: dark.matches, ...waiting, id: ++count };
    waiting = null;
    at("view").classList.toggle("stale", busy.do === "run");
    worker.postMessage(busy);
    timer = setTimeout(ended, LIMIT);
    if (busy.do === "run") status("Running …", true);
}

/** The program has taken too long: its worker is ended, and a new one started. */
function ended() {
    worker.terminate();
    const job = busy;
    busy = null;
    at("view").classList.remove("stale");
    const words = `Stopped after ${LIMIT / 1000} seconds: is there an endless loop? Python was started anew; change the program and run it again.`;
    status(words, true);
    ran = null; // nothing is known to the new worker
    if (job.do === "run") showTimeout(words);
    startWorker(words);
}

function showTimeout(words) {
    at("trouble").hidden = false;
    at("trouble").textContent = words;
}

function answered(answer, job, took) {
    if (job.do === "run" && !("view" in answer)) {
        at("view").classList.remove("stale");
        at("printed").hidden = !answer.output;
        at("output").textContent = answer.output;
        showError(answer.error && source() === job.source ? answer.error : null);
        if (answer.error) {
            status("The program has an error; the picture is that of the last run.");
            return;
        }
        ran = job.source;
        value = answer.chosen;
        const choice = at("value");
        choice.replaceChildren(...answer.values.map((name) => new Option(name || "the last line", name, false, name === value)));
        at("value-field").hidden = answer.values.length < 2;
        status(`Done in ${took < 1000 ? `${Math.round(took)} ms` : `${(took / 1000).toFixed(1)} s`}.`);
    } else if (answer.view === "slid") {
        if (view === "sliders") showSlid(answer.parts);
    } else if (answer.view === view) {
        show(answer.parts);
    }
}

// --- what is shown --------------------------------------------------------------------------------------------

function show(parts) {
    at("view").replaceChildren();
    for (const part of parts) at("view").append(...shown(part));
    at("view").scrollTop = 0;
}

function shown(part) {
    if (part.svg) return [picture(part)];
    if (part.page) return [page(part)];
    if (part.choice) return [choice(part)];
    if (part.sliders) return [sliders(part.sliders)];
    if (part.result) return [result(part)];
    return [element(part.kind === "code" ? "pre" : "p", `${part.kind}${view === "diagnose" ? " wraps" : ""}`, part.text)];
}

function picture(part) {
    const image = element("img", "picture");
    image.alt = `${part.about}\n${part.text.slice(0, 2000)}`;
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(part.svg)}`;
    // A wide picture keeps a readable size, and the view scrolls.
    image.style.minWidth = `${Math.round(part.width * 0.62)}px`;
    return image;
}

function page(part) {
    const frame = element("iframe", "page");
    frame.title = part.about;
    frame.setAttribute("sandbox", "allow-scripts");
    frame.src = "frame.html";
    const send = (event) => {
        if (event.source !== frame.contentWindow || event.data !== "ready") return;
        removeEventListener("message", send);
        frame.contentWindow.postMessage(part.page, "*");
    };
    addEventListener("message", send);
    return frame;
}

function choice(part) {
    const label = element("label", "field", `${part.label} `), select = element("select");
    select.append(...part.choice.map((name) => new Option(name, name, false, name === part.chosen)));
    select.addEventListener("change", () => { option = select.value; ask({ do: "show" }); });
    label.append(select);
    return label;
}

let numbers = {};

function sliders(rows) {
    numbers = {};
    const box = element("div", "sliders");
    for (const row of rows) {
        const line = element("div", "slider"), name = element("label", "name", row.name);
        const now = element("output", "", Number(row.at.toPrecision(4)).toString()), input = element("input");
        input.type = "range";
        Object.assign(input, { min: row.low, max: row.high, step: (row.high - row.low) / 400, value: row.at, id: `slider-${row.leaf}` });
        name.htmlFor = input.id;
        input.addEventListener("input", () => {
            numbers[row.leaf] = Number(input.value);
            now.textContent = Number(Number(input.value).toPrecision(4)).toString();
            ask({ do: "slide", numbers: JSON.stringify(numbers) });
        });
        const slope = element("span", "slope");
        slope.id = `slope-${row.leaf}`;
        line.append(name, now, input, slope);
        box.append(line);
    }
    return box;
}

function result(part) {
    for (const [leaf, slope] of part.slopes.entries()) {
        const now = at(`slope-${leaf}`);
        if (now) now.textContent = `g = ${slope}`;
    }
    return element("p", "result", `${value || "the result"} = ${part.result}`);
}

function showSlid(parts) {
    const old = [...at("view").querySelectorAll(":scope > .result, :scope > .picture, :scope > .refused")];
    const made = parts.flatMap(shown);
    old.forEach((each) => each.remove());
    at("view").append(...made);
}

// --- what a reader does ---------------------------------------------------------------------------------------

let pause = 0;

function typed() {
    showStale();
    clearTimeout(pause);
    if (at("live").checked && !linked) pause = setTimeout(runNow, WAIT);
}

function showStale() {
    if (!at("trouble").hidden) at("trouble").hidden = true;
}

function runNow() {
    clearTimeout(pause);
    ask({ do: "run", source: source() });
}

function pressedRun() {
    linked = false;
    at("linked").hidden = true;
    if (busy && busy.do === "run" && busy.source !== source()) { // what runs is not what is asked for any more
        clearTimeout(timer);
        worker.terminate();
        busy = null;
        startWorker("");
    }
    runNow();
}

function openTab(name, focus) {
    view = name;
    for (const tab of at("tabs").children) {
        const here = tab.dataset.view === name;
        tab.setAttribute("aria-selected", here);
        tab.tabIndex = here ? 0 : -1;
        if (here) {
            at("view").setAttribute("aria-labelledby", tab.id);
            if (focus) tab.focus();
            tab.scrollIntoView({ block: "nearest", inline: "nearest" });
        }
    }
    if (ran !== null) ask({ do: "show" });
    else if (!linked) runNow();
}

at("tabs").addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) openTab(tab.dataset.view);
});
at("tabs").addEventListener("keydown", (event) => {
    const all = [...at("tabs").children], here = all.findIndex((tab) => tab.dataset.view === view);
    const to = { ArrowRight: here + 1, ArrowLeft: here - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    openTab(all[to % all.length].dataset.view, true);
});
at("value").addEventListener("change", () => { value = at("value").value; ask({ do: "show" }); });
at("run").addEventListener("click", pressedRun);
at("live").addEventListener("change", () => { if (at("live").checked && !linked) runNow(); });
at("examples").append(...examples.map((example, i) => new Option(example.title, String(i))), new Option("(from a link)", "", false, false));
at("examples").lastElementChild.hidden = true;
at("examples").addEventListener("change", () => {
    const example = examples[Number(at("examples").value)];
    linked = false;
    at("linked").hidden = true;
    history_.replaceState(null, "", location.pathname + location.search);
    clearTimeout(pause);
    setSource(example.source);
    if (example.view) openTabQuietly(example.view);
    runNow();
});

const history_ = window.history;

function openTabQuietly(name) {
    const before = ran;
    ran = null;
    const was = linked;
    linked = true; // no run of its own
    openTab(name);
    linked = was;
    ran = before;
}

at("link").addEventListener("click", async () => {
    const url = `${location.href.split("#")[0]}#program=${await packed(source())}`;
    history_.replaceState(null, "", url);
    try {
        await navigator.clipboard.writeText(url);
        status("The link is copied; it holds the whole program.");
    } catch {
        status("The link is in the address bar; it holds the whole program.");
    }
});

async function fromLink() {
    const code = /^#program=([\w-]*)$/.exec(location.hash)?.[1];
    if (code === undefined) return false;
    try {
        const text = await unpacked(code);
        linked = true;
        clearTimeout(pause);
        setSource(text);
        at("examples").value = "";
        at("linked").hidden = false;
        showError(null);
        at("view").replaceChildren(element("p", "note", "The program of the link has not run yet. Read it, then press Run."));
        ran = null;
        at("printed").hidden = true;
        at("value-field").hidden = true;
        return true;
    } catch (error) {
        status(`The link does not hold a program that can be read (${error.message || error}).`);
        return false;
    }
}

addEventListener("hashchange", fromLink);
dark.addEventListener("change", () => { if (ran !== null) ask({ do: "show" }); });

if (!(await fromLink())) ask({ do: "run", source: source() });
startWorker("");
if ("serviceWorker" in navigator) {
    navigator.serviceWorker.register("sw.js").then(() => navigator.serviceWorker.ready)
        .then(() => { document.body.dataset.offline = "ready"; }).catch(() => {}); // without it the page needs its host
}
