// <milepost-progress> in Chromium, on a page of another origin with the strictest policy that can show it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { checkpoint, eventually, given, newTenant } from "../page/stage.mjs";
import { asOperator, onPage as onAnyPage, share, site, violations } from "./pages.mjs";

const EVENTS = `
  window.heard = [];
  for (const type of ["change", "done"]) document.addEventListener(type, ({ target, detail }) => heard.push([type, detail?.state]), true);
  const element = document.querySelector("milepost-progress");
  if (document.body.dataset.token) element.token = document.body.dataset.token;`;
const POLICY = `default-src 'none'; script-src 'self' ${given.url}; connect-src ${given.url}; require-trusted-types-for 'script'; base-uri 'none'; form-action 'none'`;

const escaped = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.codePointAt(0)};`);
const tag = (attributes) => `<milepost-progress ${Object.entries(attributes).map(([name, value]) => `${name}="${escaped(value)}"`).join(" ")}></milepost-progress>`;

/** A test on a page of another origin; `open(attributes, token)` shows the element there, and returns it with what it asked. */
function onPage(name, act, options) {
  onAnyPage(name, async (page, complaints) => {
    const files = { "/events.js": EVENTS };
    const elsewhere = await site(files, POLICY);
    const asked = [];
    page.on("request", (request) => request.url().startsWith(`${given.url}/v1/`) && asked.push(request));
    const open = async (attributes, token = "") => {
      files["/"] = `<!doctype html><html lang="en"><title>Elsewhere</title><body data-token="${token}"><main><h1>Elsewhere</h1>${tag(attributes)}</main>
        <script src="/events.js"></script><script src="${given.url}/embed.js" defer></script>`;
      await page.goto(elsewhere.url);
      return page.locator("milepost-progress");
    };
    try {
      await act(page, open, asked, complaints);
    } finally {
      elsewhere.close();
    }
  }, options);
}

const shows = (element, wanted) => eventually(async () => assert.match(await element.evaluate(({ shadowRoot }) => [...shadowRoot.querySelectorAll("[part]:not([part=track])")].map(({ textContent }) => textContent).join(" | ")), wanted));
const bar = (element) => element.getByRole("progressbar");
const heard = (page) => page.evaluate(() => window.heard);

test("it is under 5 kB compressed", () => {
  const size = gzipSync(readFileSync(new URL("../../public/embed.js", import.meta.url))).length;
  assert.ok(size < 5000, `${size} bytes`);
});

onPage("it shows a job on a page of another origin and follows it to its end", async (page, open) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "import", name: "Nightly import", unit: "rows", items_total: 1000, items_completed: 425 });
  const element = await open({ job: "import", key: (await share(tenant, "import")).token });
  await shows(element, /^Nightly import \| 42\.5% \|.*\| Running/);
  assert.equal(await bar(element).getAttribute("aria-valuenow"), "42.5");
  assert.equal(await bar(element).getAttribute("aria-valuetext"), "42.5%, 425 of 1,000 rows");
  assert.equal(await bar(element).getAttribute("aria-label"), "Progress of Nightly import");
  await checkpoint(tenant, { job: "import", items_completed: 600 });
  await page.clock.runFor(11_000);
  await shows(element, /60\.0%/);
  await checkpoint(tenant, { job: "import", items_completed: 1000, state: "completed" });
  await page.clock.runFor(11_000);
  await shows(element, /100% \|.*\| Completed/);
  assert.equal(await element.getAttribute("data-state"), "completed");
  assert.equal(await element.getByRole("status").textContent(), "Nightly import: Completed.");
  const said = await heard(page);
  assert.deepEqual(said.at(-1), ["done", "completed"]);
  assert.deepEqual(new Set(said.slice(0, -1).map(([type]) => type)), new Set(["change"]));
  const again = page.waitForResponse(/\/v1\/shared\//);
  await page.clock.runFor(61_000);
  await (await again).finished();
  assert.equal((await heard(page)).filter(([type]) => type === "done").length, 1);
});

onPage("the time left is said with its range", async (page, open) => {
  await page.route("**/v1/shared/**", (route) => route.fulfill({ json: { name: "Import", state: "running", liveness: "on_time", attempt: 1, unit: "rows", percent_complete: 42, items_completed: 42, items_skipped: 0, items_total: 100, rate_per_s: 12_345.6, eta_ms: 512_000, eta_low_ms: 430_000, eta_high_ms: 690_000, eta_reason: null, finished_at: null, next_poll_ms: 2000 } }));
  await shows(await open({ key: "sh_played" }), /Running · 12,346 rows\/s \| 9 min left \(7–12 min\)/);
});

onPage("a secret key is refused and never sent", async (page, open, asked, complaints) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  const element = await open({ job: "import", key: tenant.operator_key });
  await shows(element, /needs the token of a share link, not a secret key/);
  assert.equal(await element.getAttribute("data-state"), "unavailable");
  assert.match(complaints.join(), /milepost share JOB/);
  assert.ok(!complaints.join().includes(tenant.operator_key));
  await page.clock.runFor(120_000);
  assert.deepEqual(asked, []);
}, { allow: /did not send it/ });

onPage("a link that shows nothing says so and asks no more", async (page, open, asked) => {
  const tenant = newTenant();
  for (const job of ["import", "other"]) await checkpoint(tenant, { job });
  const { token, share_id: id } = await share(tenant, "import");
  const element = await open({ key: token, job: "other" });
  await shows(element, /This link shows nothing/);
  await element.evaluate((it) => it.setAttribute("job", "import"));
  await shows(element, /^import .*Running/);
  await asOperator(tenant, `/v1/shares/${id}/revoke`);
  await page.clock.runFor(11_000);
  await shows(element, /This link shows nothing/);
  const before = asked.length;
  await page.clock.runFor(600_000);
  assert.equal(asked.length, before);
}, { allow: /404/ });

onPage("a signed-in user's token shows the job without a link", async (page, open, asked) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "import/a", name: "Import A", items_total: 4, items_completed: 1 });
  const element = await open({ job: "import/a" }, tenant.teammate);
  await shows(element, /^Import A \| 25\.0%/);
  await element.evaluate((it) => (it.token = null));
  await shows(element, /Nothing to show/);
  await element.evaluate((it, token) => (it.token = token), tenant.stranger);
  await shows(element, /This job cannot be shown/);
  assert.ok(asked.every((request) => !request.url().includes("eyJ")));
}, { allow: /404/ });

onPage("it rests while nobody looks, and is up to date when somebody does", async (page, open, asked) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  const element = await open({ key: (await share(tenant, "import")).token });
  await shows(element, /10\.0%/);
  const look = (isHidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
  await look(true);
  const before = asked.length;
  await page.clock.runFor(600_000);
  assert.equal(asked.length, before);
  await checkpoint(tenant, { job: "import", items_completed: 7 });
  await look(false);
  await shows(element, /70\.0%/);
  await element.evaluate((it) => it.remove());
  const last = asked.length;
  await page.clock.runFor(600_000);
  assert.equal(asked.length, last);
});

onPage("when Milepost is away the last picture stays, says so, and asks ever more rarely", async (page, open, asked) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  const element = await open({ key: (await share(tenant, "import")).token });
  await shows(element, /10\.0%/);
  await page.route("**/v1/shared/**", (route) => route.fulfill({ status: 503, headers: { "access-control-allow-origin": "*" }, json: {} }));
  const before = asked.length;
  for (let n = 0; n < 60; n++) await page.clock.runFor(10_000);
  await shows(element, /10\.0%.*not reachable since/);
  assert.ok(asked.length - before < 20, `${asked.length - before} requests in ten minutes`);
  await page.unroute("**/v1/shared/**");
  await checkpoint(tenant, { job: "import", items_completed: 2 });
  // Little by little, so that an answer that takes its time is not overtaken by the element's patience.
  await eventually(async () => {
    await page.clock.runFor(10_000);
    assert.match(await element.evaluate(({ shadowRoot }) => shadowRoot.textContent), /20\.0%/);
  }, 30_000);
  assert.doesNotMatch(await element.evaluate(({ shadowRoot }) => shadowRoot.textContent), /not reachable/);
}, { allow: /503/ });

onPage("an unknown percent is no 0 %, and stands still for those who want that", async (page, open) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "crawl", unit: "pages", items_completed: 120 });
  const element = await open({ key: (await share(tenant, "crawl")).token });
  await shows(element, /^crawl \| 120 pages \|/);
  assert.equal(await bar(element).getAttribute("aria-valuenow"), null);
  assert.equal(await bar(element).getAttribute("aria-valuetext"), "unknown, 120 pages");
  const animation = () => element.evaluate(({ shadowRoot }) => getComputedStyle(shadowRoot.querySelector("[part=bar]")).animationName);
  assert.equal(await animation(), "go");
  await page.emulateMedia({ reducedMotion: "reduce" });
  assert.equal(await animation(), "none");
});

onPage("what people wrote stays text", async (page, open) => {
  const tenant = newTenant();
  const evil = `<img src=x onerror="window.hacked = 1">`;
  const [{ job_id: id }] = await checkpoint(tenant, { job: evil, name: evil, unit: evil, items_total: 4, items_completed: 1 });
  const element = await open({ job: evil, key: (await share(tenant, id)).token });
  await shows(element, /^<img src=x/);
  assert.equal(await element.evaluate(({ shadowRoot }) => shadowRoot.querySelectorAll("img").length), 0);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
});

onPage("a page dresses it by parts and properties", async (page, open) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "import", items_total: 4, items_completed: 1 });
  const element = await open({ key: (await share(tenant, "import")).token });
  await shows(element, /25\.0%/);
  await page.evaluate(() => {
    const looks = new CSSStyleSheet();
    looks.replaceSync("milepost-progress { --milepost-accent: rgb(1, 2, 3); --milepost-height: 9px } milepost-progress::part(name) { color: rgb(4, 5, 6) }");
    document.adoptedStyleSheets = [looks];
  });
  const style = (part, name) => element.evaluate(({ shadowRoot }, [p, n]) => getComputedStyle(shadowRoot.querySelector(`[part=${p}]`))[n], [part, name]);
  assert.equal(await style("bar", "backgroundColor"), "rgb(1, 2, 3)");
  assert.equal(await style("track", "height"), "9px");
  assert.equal(await style("name", "color"), "rgb(4, 5, 6)");
});

for (const colorScheme of ["light", "dark"]) {
  onPage(`axe finds nothing to object to in ${colorScheme}`, async (page, open) => {
    const tenant = newTenant();
    await checkpoint(tenant, { job: "import", items_total: 4, items_completed: 1 });
    const element = await open({ key: (await share(tenant, "import")).token });
    await shows(element, /25\.0%/);
    await page.evaluate((scheme) => {
      document.documentElement.style.cssText = `color-scheme: ${scheme}; background: ${scheme === "dark" ? "#101114; color: #eee" : "#fff"}`;
    }, colorScheme);
    assert.deepEqual(await violations(page), []);
  }, { colorScheme, clock: false });
}
