// Whatever a job says of itself is text: on the list, on its page, in the history, and on the page of a share link.

import assert from "node:assert/strict";

import { onPage, open, shows } from "./browser.mjs";
import { checkpoint, control, create, given, newTenant } from "./stage.mjs";

const EVIL = given.evil; // the tenants are called so, too
const SEEN = new RegExp(EVIL.replace(/[^\w ]/g, "\\$&"));

/** Nothing of it became an element, an attribute that acts, or an address that does. */
async function isHarmless(page) {
  const found = await page.evaluate(() => ({
    hacked: window.hacked,
    elements: [...document.body.querySelectorAll("img, script, iframe, object, base")].map((element) => element.outerHTML),
    acting: [...document.querySelectorAll("*")].flatMap((element) => [...element.attributes])
      .filter(({ name, value }) => name.startsWith("on") || (["href", "src", "action"].includes(name) && /^\s*(javascript|data):/i.test(value) && !value.startsWith("data:image/svg+xml")))
      .map(({ name, value }) => `${name}=${value}`),
  }));
  assert.deepEqual(found, { hacked: undefined, elements: [], acting: [] });
}

async function evilJob(tenant, key, state) {
  const about = { job: key, kind: EVIL, name: EVIL, unit: EVIL };
  const { job_id: id } = await create(tenant, { ...about, items_total: 10, max_attempts: 1, stages: [{ name: EVIL }], metadata: { [EVIL]: EVIL, link: "javascript:window.hacked=1" } });
  await checkpoint(tenant, {
    job: id, worker: EVIL, state, reason: EVIL, message: EVIL, cursor: { [EVIL]: EVIL },
    stage: { name: EVIL, items_total: 10, items_completed: 3, items_failed: 1, state: "running" },
    items: [{ key: EVIL, stage: EVIL, state: "failed", error: EVIL, payload: { [EVIL]: EVIL } }],
  });
  return id;
}

onPage("on the list, on the job's page, in the history and in its dialogs", async (page) => {
  const tenant = newTenant();
  const running = await evilJob(tenant, EVIL, "running");
  await evilJob(tenant, "javascript:window.hacked=1", "failed");
  await control(tenant, running, "pause", { reason: EVIL });

  await open(page, tenant.owner);
  await shows(page.locator("body > header .tenant"), SEEN);
  await shows(page.locator("li.job").first(), SEEN);
  await isHarmless(page);
  await page.evaluate(() => (location.hash = `#/?group=kind&q=${encodeURIComponent("<img")}`));
  await shows(page.locator(".group").first(), SEEN);
  await isHarmless(page);

  await page.evaluate((id) => (location.hash = `#/jobs/${id}`), running);
  await shows(page.locator(".one h1"), SEEN);
  await page.locator(".items .key").click();
  await shows(page.locator(".items .detail"), SEEN);
  await shows(page.locator(".events"), SEEN);
  await page.getByRole("button", { name: "Cancel" }).click();
  await shows(page.getByRole("dialog"), SEEN);
  await isHarmless(page);
  await page.keyboard.press("Escape");

  await page.evaluate(() => (location.hash = "#/history"));
  await shows(page.locator(".patterns li").first(), /<img src=x onerror=/);
  await shows(page.locator(".runs li").first(), SEEN);
  await isHarmless(page);
});

onPage("on the page of a share link", async (page) => {
  const tenant = newTenant();
  const id = await evilJob(tenant, EVIL, "running");
  const answer = await fetch(`${given.url}/v1/jobs/${id}/shares`, { method: "POST", headers: { authorization: `Bearer ${tenant.operator_key}` } });
  const { token } = await answer.json();
  await page.goto(`${given.url}/shared.html#${token}`);
  await shows(page.locator("h1"), SEEN);
  await shows(page.locator(".stages li").first(), SEEN);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator("main img, main script").count(), 0);
});

onPage("no other site may show the page in a frame of its own", async (page) => {
  for (const file of ["/", "/shared.html"]) {
    const { headers } = await page.request.get(given.url + file).then((answer) => ({ headers: answer.headers() }));
    assert.equal(headers["x-frame-options"], "DENY");
  }
  await page.goto(`${given.url}/icon.svg`); // a document of this origin, without a policy against frames inside it
  const framed = await page.evaluate(async (url) => {
    const frame = document.createElementNS("http://www.w3.org/1999/xhtml", "iframe");
    document.documentElement.append(frame);
    await new Promise((resolve) => {
      frame.onload = resolve;
      frame.src = url;
    });
    try {
      return frame.contentDocument?.title ?? "refused";
    } catch {
      return "refused";
    }
  }, `${given.url}/shared.html`);
  assert.equal(framed, "refused");
}, { allow: /fram|404/i }); // and an SVG has no icon
