// Pictures stand in frames, which follow the screen; here they follow the reader's choice of light or dark as well.

const follow = () => {
  const theme = document.body.dataset.theme;
  const query = { dark: "min-width:0", light: "max-width:0" }[theme];
  for (const frame of document.querySelectorAll("iframe[srcdoc]")) {
    frame.dataset.page ??= frame.srcdoc;
    const page = frame.dataset.page;
    const shown = query ? page.replace(/prefers-color-scheme:\s*dark/g, query) : page;
    if (shown !== frame.srcdoc) frame.srcdoc = shown;
  }
};

addEventListener("DOMContentLoaded", () => {
  follow();
  new MutationObserver(follow).observe(document.body, { attributeFilter: ["data-theme"] });
});
