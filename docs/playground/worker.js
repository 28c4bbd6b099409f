/* Python in a worker: loads Pyodide and the package, then runs programs and answers with JSON.

   The page makes this worker from a blob, so that it has the page's Content-Security-Policy: a program can ask no other
   host. What would reach the site's stored files, or a context without these limits, is taken away before it runs. */

const WITHOUT = ["fetch", "XMLHttpRequest", "WebSocket", "EventSource", "WebTransport", "caches", "CacheStorage",
    "indexedDB", "Worker", "SharedWorker", "BroadcastChannel", "importScripts", "FontFace", "webkitRequestFileSystem",
    "webkitRequestFileSystemSync"];

function takeAway() {
    for (let here = self; here; here = Object.getPrototypeOf(here)) {
        for (const name of WITHOUT) delete here[name];
    }
    for (const name of WITHOUT) {
        Object.defineProperty(self, name, { value: undefined, writable: false, configurable: false });
    }
    for (const name of ["storage", "serviceWorker", "sendBeacon", "locks"]) {
        for (let here = self.navigator; here; here = Object.getPrototypeOf(here)) delete here[name];
    }
}

async function start(base) {
    const began = performance.now();
    const { loadPyodide } = await import(`${base}pyodide/pyodide.mjs`);
    const wheel = fetch(`${base}autograd_lite.zip`).then((answer) => {
        if (!answer.ok) throw new Error(`autograd_lite.zip: ${answer.status}`);
        return answer.arrayBuffer();
    });
    const pyodide = await loadPyodide({ indexURL: `${base}pyodide/`, stdout: () => {}, stderr: () => {} });
    const python = performance.now();
    pyodide.unpackArchive(await wheel, "zip", { extractDir: "/lib/autograd_lite_site" });
    pyodide.runPython("import sys; sys.path.insert(0, '/lib/autograd_lite_site')");
    const page = pyodide.pyimport("page");
    page.prepare();
    const post = self.postMessage.bind(self);
    takeAway();
    self.onmessage = ({ data }) => {
        const clock = performance.now();
        const answers = [];
        const text = data.do === "run" ? page.run(data.source) : null;
        if (text !== null) answers.push(text);
        if (data.do === "slide") answers.push(page.slide(data.numbers, data.dark));
        else if (text === null || !("error" in JSON.parse(text))) answers.push(page.show(data.view, data.do === "run" ? "" : data.value, data.option, data.dark));
        post({ id: data.id, answers, took: performance.now() - clock });
    };
    post({ ready: true, python: python - began, took: performance.now() - began });
}

self.onmessage = ({ data }) => {
    start(data.base).catch((error) => self.postMessage({ failed: String(error && error.message || error) }));
};
