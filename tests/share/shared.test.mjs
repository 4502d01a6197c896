// A link is made on a job's page, and opened by somebody without an account.

import assert from "node:assert/strict";

import { checkpoint, create, eventually, given, newTenant } from "../page/stage.mjs";
import { asOperator, onPage, share, violations } from "./pages.mjs";

const shows = (locator, wanted) => eventually(async () => assert.match(await locator.innerText(), wanted));
/** What the page of a link says: the element's own text first, which innerText leaves out. */
const tells = (page, wanted) => eventually(async () => assert.match(await page.evaluate(() => `${document.querySelector("milepost-progress").shadowRoot.textContent} || ${document.querySelector("main").innerText}`), wanted));

async function openJob(page, token, id) {
  await page.goto(`${given.url}/#access_token=${token}`);
  await page.locator("body > header:not([hidden])").waitFor();
  await page.evaluate((to) => (location.hash = to), `/jobs/${id}`);
}

onPage("a link is made, copied, opened without an account, and revoked", async (page) => {
  const tenant = newTenant();
  const { job_id: id } = await create(tenant, { job: "import", name: "Nightly import", unit: "rows", items_total: 1000, stages: [{ name: "extract" }, { name: "load" }] });
  await checkpoint(tenant, { job: "import", items_completed: 425, stage: [{ name: "extract", items_total: 4, items_completed: 4, state: "completed" }, { name: "load", items_total: 10, items_completed: 5 }] });
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await openJob(page, tenant.owner, id);
  await page.getByRole("button", { name: "Share…" }).click();
  const dialog = page.getByRole("dialog", { name: "Share this job" });
  assert.equal(await dialog.getByLabel("How long the link holds").inputValue(), String(7 * 86_400));
  await dialog.getByRole("button", { name: "Make a link" }).click();
  const field = (name) => dialog.getByRole("textbox", { name }).inputValue();
  const link = await field("Link");
  assert.match(link, new RegExp(`^${given.url}/shared\\.html#sh_[A-Za-z0-9_-]{43}$`));
  const token = link.split("#")[1];
  assert.equal(await field("Badge"), `[![Progress](${given.url}/v1/jobs/${id}/badge.svg?share=${token})](${link})`);
  assert.match(await field("Embed"), new RegExp(`<script src="${given.url}/embed.js" defer></script>.*<milepost-progress key="${token}"`));
  await dialog.getByRole("button", { name: "Copy" }).first().click();
  await dialog.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link);

  const visitor = await page.context().browser().newContext({ locale: "en-US" });
  const other = await visitor.newPage();
  await other.goto(link);
  await tells(other, /42\.5%.*Running.* \|\| Nightly import[^]*Stages[^]*extract[^]*100%[^]*load[^]*50\.0%[^]*425 of 1,000 rows/);
  assert.equal(await other.title(), "42.5% · Nightly import");
  await visitor.close();

  await dialog.getByRole("button", { name: /Revoke the link: Made .* by you/ }).click();
  await eventually(async () => assert.equal(await dialog.getByRole("button", { name: /Revoke/ }).count(), 0));
  assert.equal((await fetch(`${given.url}/v1/shared/${token}`)).status, 404);
  await dialog.getByRole("button", { name: "Close" }).click();
  assert.equal(await dialog.count(), 0);
}, { clock: false });

onPage("one who may only look cannot share", async (page) => {
  const tenant = newTenant();
  const [{ job_id: id }] = await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  await openJob(page, tenant.teammate, id);
  await shows(page.locator("main"), /10\.0%/);
  assert.equal(await page.getByRole("button", { name: "Share…" }).count(), 0);
}, { clock: false });

onPage("what the database refuses is said in the dialog", async (page) => {
  const tenant = newTenant();
  const [{ job_id: id }] = await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  await openJob(page, tenant.owner, id);
  await page.getByRole("button", { name: "Share…" }).click();
  await page.route("**/rpc/share_job", (route) => route.fulfill({ status: 409, json: { code: "too_many_shares", message: "There are 100 already.", hint: "Revoke one." } }));
  await page.getByRole("button", { name: "Make a link" }).click();
  await shows(page.getByRole("dialog").getByRole("alert"), /There are 100 already\. Revoke one\./);
}, { clock: false, allow: /409/ });

onPage("the opened link moves with the job, and says when it shows nothing any more", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  const { token, share_id: id } = await share(tenant, "import");
  await page.goto(`${given.url}/shared.html#${token}`);
  await tells(page, /10\.0%/);
  await checkpoint(tenant, { job: "import", items_completed: 6 });
  await page.clock.runFor(11_000);
  await tells(page, /60\.0%/);
  await eventually(async () => assert.equal(await page.title(), "60.0% · import"));
  await asOperator(tenant, `/v1/shares/${id}/revoke`);
  await page.clock.runFor(11_000);
  await tells(page, /^This link shows nothing.* \|\| Shared progress\s*$/);
  await page.goto(`${given.url}/shared.html`);
  await page.reload();
  await tells(page, /^This link shows nothing/);
}, { allow: /404/ });

for (const colorScheme of ["light", "dark"]) {
  onPage(`axe finds nothing to object to in ${colorScheme}, on a phone too`, async (page) => {
    const tenant = newTenant();
    const { job_id: id } = await create(tenant, { job: "import", name: "a-very-long-name-".repeat(9), items_total: 10, stages: [{ name: "one" }, { name: "two" }] });
    await checkpoint(tenant, { job: "import", items_completed: 1, stage: { name: "one", items_total: 10, items_completed: 2 } });
    const { token } = await share(tenant, "import");
    const isTooWide = () => page.evaluate(() => document.scrollingElement.scrollWidth > innerWidth);
    await page.goto(`${given.url}/shared.html#${token}`);
    await tells(page, /10\.0%[^]*one/);
    assert.deepEqual(await violations(page), []);
    assert.equal(await isTooWide(), false);
    await openJob(page, tenant.owner, id);
    await page.getByRole("button", { name: "Share…" }).click();
    await page.getByRole("button", { name: "Make a link" }).click();
    await page.getByRole("button", { name: /^Revoke/ }).first().waitFor();
    assert.deepEqual(await violations(page), []);
    assert.equal(await isTooWide(), false);
  }, { colorScheme, reducedMotion: "reduce", clock: false, viewport: { width: 360, height: 740 } });
}
