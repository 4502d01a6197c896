// The embeds of docs/sharing.md, as they stand there, in a page of another origin.

import assert from "node:assert/strict";

import { eventually, given } from "../page/stage.mjs";
import { onPage, site } from "./pages.mjs";

for (const [name, html] of Object.entries(given.pages)) {
  onPage(`the snippet "${name}" shows the job`, async (page) => {
    const start = `<!doctype html><title>Elsewhere</title><script>const accessToken = async () => ${JSON.stringify(given.token)};</script>`;
    const elsewhere = await site({ "/": start + html }, `default-src 'unsafe-inline' ${given.url}`);
    try {
      await page.goto(elsewhere.url);
      await eventually(async () => assert.match(await page.locator("milepost-progress").evaluate(({ shadowRoot }) => shadowRoot.textContent), /nightly-import40\.0%.*Running/));
    } finally {
      elsewhere.close();
    }
  }, { clock: false });
}
