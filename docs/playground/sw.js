/* Keeps the files of the page, so that it works without a network after the first visit. */

const SCOPE = new URL(self.registration.scope).pathname;
const PREFIX = `autograd_lite playground ${SCOPE} `; // several copies may lie on one host
const NAME = PREFIX + "@VERSION@";
const FILES = @FILES@;

self.addEventListener("install", (event) => {
    event.waitUntil((async () => {
        const kept = await caches.open(NAME);
        await kept.addAll(FILES.map((file) => new Request(file, { cache: "no-cache" })));
        await self.skipWaiting();
    })());
});

self.addEventListener("activate", (event) => {
    event.waitUntil((async () => {
        for (const name of await caches.keys()) {
            if (name.startsWith(PREFIX) && name !== NAME) await caches.delete(name);
        }
        await self.clients.claim();
    })());
});

self.addEventListener("fetch", (event) => {
    if (event.request.method !== "GET" || !event.request.url.startsWith(self.registration.scope)) return;
    event.respondWith((async () => {
        const kept = await (await caches.open(NAME)).match(event.request, { ignoreSearch: true });
        return kept || fetch(event.request);
    })());
});
