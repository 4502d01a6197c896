// One job's page in Chromium, by what a person does and sees.

import assert from "node:assert/strict";

import { heading, live, onPage, open, row, shows, violations } from "./browser.mjs";
import { checkpoint, control, create, eventually, newTenant, read } from "./stage.mjs";

onPage("one job shows its stages, workers, items, events, cursor and metadata", async (page) => {
  const tenant = newTenant();
  const { job_id: id } = await create(tenant, { job: "import", name: "Nightly import", unit: "rows", items_total: 1000, metadata: { owner: "etl" }, stages: [{ name: "extract" }, { name: "load" }] });
  await checkpoint(tenant,
    { job: id, worker: "fast", items_completed: 40, stage: [{ name: "extract", items_total: 4, items_completed: 4, state: "completed" }, { name: "load", items_total: 10, items_completed: 5, state: "running" }], message: "chunk 1", cursor: { offset: 40 } },
    { job: id, worker: "slow", items_completed: 2, items: [{ key: "part-1.csv", stage: "load", state: "failed", error: "row 8: expected 14 columns", payload: { host: "gpu-1" } }] });
  await checkpoint(tenant, { job: id, worker: "fast", items_completed: 400 }, { job: id, worker: "slow", items_completed: 3 });
  await open(page, tenant.owner);
  await page.getByRole("link", { name: "Nightly import" }).click();
  await heading(page, "Nightly import").waitFor();
  assert.match(page.url(), new RegExp(`#/jobs/${id}$`));
  await shows(page.locator(".far"), /403 of 1,000 rows[^]*chunk 1/);
  await shows(page.locator(".stages"), /extract[^]*100%[^]*Completed[^]*load[^]*50\.0%[^]*Running[^]*5 of 10 rows/);
  await shows(page.locator(".workers tbody tr").nth(1), /^slow\s+slowest/);
  const item = page.getByRole("button", { name: "part-1.csv" });
  await item.click();
  await shows(page.locator(".detail:visible"), /expected 14 columns[^]*"host": "gpu-1"/);
  assert.equal(await item.getAttribute("aria-expanded"), "true");
  await shows(page.locator("section", { has: page.getByRole("heading", { name: "Cursor" }) }), /"offset": 40/);
  await shows(page.locator("section", { has: page.getByRole("heading", { name: "Metadata" }) }), /"owner": "etl"/);
  await shows(page.locator(".events"), /Stage running[^]*load[^]*Started/);
  await page.getByLabel("progress and items too").check();
  await shows(page.locator(".events"), /Item failed[^]*part-1\.csv/);
  await page.getByLabel("State of items").selectOption("completed");
  await page.getByText("No item matches.").waitFor();
});

onPage("the open job moves too, and its title tells how far", async (page) => {
  const tenant = newTenant();
  const [{ job_id: id }] = await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1, stage: { name: "load", items_total: 10, items_completed: 1 } });
  await open(page, tenant.owner, `/jobs/${id}`);
  await heading(page, "import").waitFor();
  await live(page);
  await checkpoint(tenant, { job: "import", items_completed: 5, stage: { name: "load", items_completed: 5 }, items: [{ key: "a.wav", state: "completed" }] });
  await shows(page.locator(".far"), /50\.0%/);
  await shows(page.locator(".stages"), /50\.0%/);
  await page.getByRole("button", { name: "a.wav" }).waitFor();
  await eventually(async () => assert.equal(await page.title(), "50.0% · import"));
  await checkpoint(tenant, { job: "import", state: "completed", items_completed: 10, stage: { name: "load", items_completed: 10, state: "completed" } });
  await shows(page.locator(".chips"), /Completed/);
  await eventually(async () => assert.equal(await page.title(), "Completed · import"));
  await shows(page.locator(".events"), /^Completed\n10 of 10 items/m);
  assert.match(await page.locator("[role=status].spoken").textContent(), /import: Completed\./);
});

onPage("pause and resume reach the job, and the page says what is still awaited", async (page) => {
  const tenant = newTenant();
  const [{ job_id: id }] = await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  await open(page, tenant.owner, `/jobs/${id}`);
  await page.getByRole("button", { name: "Pause" }).click();
  await shows(page.locator(".chips"), /Pausing/);
  await shows(page.locator(".why"), /have not acknowledged/);
  assert.equal((await read(tenant, id)).state, "pausing");
  await checkpoint(tenant, { job: "import", state: "paused" });
  await shows(page.locator(".chips"), /Paused/);
  await page.getByRole("button", { name: "Resume" }).click();
  await shows(page.locator(".chips"), /Running/);
  assert.equal((await read(tenant, id)).state, "running");
});

onPage("cancel asks first, and can be left", async (page) => {
  const tenant = newTenant();
  const [{ job_id: id }] = await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  await open(page, tenant.owner, `/jobs/${id}`);
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Cancel import?" });
  await dialog.getByRole("button", { name: "Keep it" }).click();
  assert.equal(await dialog.count(), 0);
  assert.equal((await read(tenant, id)).state, "running");
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.keyboard.press("Escape");
  assert.equal((await read(tenant, id)).state, "running");
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await dialog.getByRole("button", { name: "Cancel the job" }).click();
  await shows(page.locator(".chips"), /Canceling/);
  assert.equal((await read(tenant, id)).state, "canceling");
});

onPage("what the database refuses is said beside the button", async (page) => {
  const tenant = newTenant();
  const [{ job_id: id }] = await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  await open(page, tenant.owner, `/jobs/${id}`);
  await page.route("**/rpc/pause_job", (route) => route.fulfill({ status: 409, json: { code: "invalid_transition", message: "It has just completed.", hint: "Nothing is left to pause." } }));
  await page.getByRole("button", { name: "Pause" }).click();
  await shows(page.getByRole("alert"), /It has just completed\. Nothing is left to pause\./);
}, { allow: /409/ });

onPage("one who may only look sees no controls", async (page) => {
  const tenant = newTenant();
  const [{ job_id: id }] = await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  await open(page, tenant.teammate, `/jobs/${id}`);
  await shows(page.locator(".far"), /10\.0%/);
  assert.equal(await page.getByRole("group", { name: "Controls" }).count(), 0);
});


const button = (page, name) => page.getByRole("button", { name, exact: true });

/** Checkpoints of a job that got so far, one after the other. */
async function course(tenant, job, steps, more = {}) {
  let id;
  for (const items_completed of steps) [{ job_id: id }] = await checkpoint(tenant, { job, items_total: 100, items_completed, ...more });
  return id;
}

for (const colorScheme of ["light", "dark"]) {
  onPage(`the course is drawn, said in a sentence and shown as a table, in ${colorScheme}`, async (page) => {
    const tenant = newTenant();
    await course(tenant, "import", [1, 8, 15, 22, 31, 40], { unit: "rows" });
    const loaded = [];
    page.on("request", (request) => request.url().includes("uplot") && loaded.push(request.url()));
    await open(page, tenant.owner);
    await row(page, "import").waitFor();
    assert.deepEqual(loaded, []);
    await page.locator("li.job a").click();
    const chart = page.locator("section.course");
    await shows(chart, /40 of 100 rows after .* of work[^]*Likely done/);
    assert.equal(loaded.length, 2);
    const painted = () => chart.locator("canvas").first().evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return new Set(Array.from({ length: data.length / 4 }, (_, n) => data.slice(4 * n, 4 * n + 4).join())).size;
    });
    await eventually(async () => assert.ok((await painted()) > 8));
    await chart.getByText("As a table").click();
    await shows(chart.locator("table").first(), /Done over time[^]*\n.*\t40\t/);
    await shows(chart.locator("table").nth(1), /Predicted earlier[^]*20 %/);
    await checkpoint(tenant, { job: "import", items_completed: 55 });
    await shows(chart, /55 of 100 rows after/);
    await shows(chart.locator("table").first(), /\t55\t/);
    assert.deepEqual(await violations(page), []);
  }, { colorScheme, reducedMotion: "reduce" });
}

onPage("a course is not drawn before there is one", async (page) => {
  const tenant = newTenant();
  const { job_id: id } = await create(tenant, { job: "import", items_total: 10, start: false });
  await open(page, tenant.owner, `/jobs/${id}`);
  await shows(page.locator(".far"), /0 of 10/);
  assert.equal(await page.locator("section.course").isVisible(), false);
});

onPage("the priority can be set, and left as it is", async (page) => {
  const tenant = newTenant();
  const { job_id: id } = await create(tenant, { job: "import", start: false });
  await open(page, tenant.owner, `/jobs/${id}`);
  const dialog = page.getByRole("dialog", { name: "Priority of import" });
  await button(page, "Priority").click();
  await dialog.getByLabel("Priority").fill("9");
  await dialog.getByRole("button", { name: "Leave it" }).click();
  await button(page, "Priority").click();
  assert.equal(await dialog.getByLabel("Priority").inputValue(), "0");
  await dialog.getByLabel("Priority").fill("7");
  await page.keyboard.press("Enter");
  await shows(page.locator(".identity"), /priority 7/);
  await shows(page.locator(".events"), /Priority\n0 → 7/);
  assert.equal((await read(tenant, id)).priority, 7);
});

onPage("what is asked is said at once as asked, and as done only when it is", async (page) => {
  const tenant = newTenant();
  const id = await course(tenant, "import", [1]);
  await open(page, tenant.owner, `/jobs/${id}`);
  let answer;
  await page.route("**/rpc/pause_job", async (route) => {
    await new Promise((resolve) => (answer = resolve));
    await route.continue();
  });
  await button(page, "Pause").click();
  await shows(page.locator(".chips"), /Running[^]*Asking to pause…/);
  await eventually(() => assert.ok(answer));
  answer();
  await shows(page.locator(".chips"), /^Pausing/);
  await eventually(async () => assert.doesNotMatch(await page.locator(".chips").innerText(), /Asking/));
});

onPage("the last events are shown, the rest on demand, and those of a stage alone", async (page) => {
  const tenant = newTenant();
  const { job_id: id } = await create(tenant, { job: "import", stages: [{ name: "extract" }, { name: "load" }] });
  await checkpoint(tenant, { job: id, items: Array.from({ length: 30 }, (_, n) => ({ key: `item-${n}`, stage: n < 3 ? "extract" : "load", state: "completed" })) });
  await open(page, tenant.owner, `/jobs/${id}`);
  const events = page.locator(".events li");
  await page.getByLabel("progress and items too").check();
  await eventually(async () => assert.equal(await events.count(), 20));
  await button(page, "Show earlier").click();
  await eventually(async () => assert.ok((await events.count()) > 30));
  await shows(page.locator(".events"), /Started\s*$|Started[^]*$/);
  assert.equal(await button(page, "Show earlier").isVisible(), false);
  await page.getByLabel("Events of stage").selectOption("extract");
  await eventually(async () => assert.deepEqual((await events.allInnerTexts()).filter((said) => said.startsWith("Item")).length, 3));
  await checkpoint(tenant, { job: id, items: [{ key: "late", stage: "extract", state: "failed" }, { key: "other", stage: "load", state: "failed" }] });
  await shows(page.locator(".events"), /Item failed\nlate/);
  assert.doesNotMatch(await page.locator(".events").innerText(), /other/);
});

onPage("an item whose message was lost is shown all the same", async (page) => {
  const tenant = newTenant();
  const id = await course(tenant, "import", [1]);
  await page.routeWebSocket(/realtime/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => String(message).includes("item.changed") || socket.send(message));
  });
  await open(page, tenant.owner, `/jobs/${id}`);
  await live(page);
  await shows(page.locator(".far"), /1 of 100/);
  await checkpoint(tenant, { job: "import", items: [{ key: "a.wav", state: "completed" }] });
  await checkpoint(tenant, { job: "import", items_completed: 2 });
  await shows(page.locator(".items tbody"), /a\.wav/);
  await page.getByLabel("progress and items too").check();
  await shows(page.locator(".events"), /Item completed\na\.wav/);
});

onPage("earlier attempts are told with how they ended", async (page) => {
  const tenant = newTenant();
  const { job_id: id } = await create(tenant, { job: "import", max_attempts: 3, retry_backoff_ms: 1 });
  await checkpoint(tenant, { job: id, state: "failed", reason: "disk full" });
  await checkpoint(tenant, { job: id, items_completed: 1 });
  await open(page, tenant.owner, `/jobs/${id}`);
  await shows(page.locator(".attempts"), /Attempt 2[^]*Running[^]*Attempt 1[^]*disk full/);
});

onPage("why it does not go on is said in words that people use", async (page) => {
  const tenant = newTenant();
  const id = await course(tenant, "import", [1]);
  await control(tenant, id, "pause", { reason: "maintenance" });
  await open(page, tenant.owner, `/jobs/${id}`);
  await shows(page.locator(".why"), /Asked to pause by the holder of an operator key; its workers have not acknowledged yet\./);
  await checkpoint(tenant, { job: "import", state: "paused" });
  await shows(page.locator(".why"), /Paused by the holder of an operator key: maintenance\./);
  assert.doesNotMatch(await page.locator("main").innerText(), /\b(key|user):[0-9a-f]|no_contact|no_progress/);
});

onPage("the slowest worker is marked, and an item's error is in plain view", async (page) => {
  const tenant = newTenant();
  for (const n of [1, 2, 3]) await checkpoint(tenant, ...["w1", "w2"].map((worker, k) => ({ job: "import", worker, items_completed: n * (1 + 20 * k) })));
  const [{ job_id: id }] = await checkpoint(tenant, { job: "import", worker: "w1", items: [{ key: "a.csv", state: "failed", error: "row 8: expected 14 columns" }] });
  await open(page, tenant.owner, `/jobs/${id}`);
  await shows(page.locator(".workers tr", { has: page.locator(".slow:visible") }), /^w1\s+slowest/);
  await shows(page.locator(".items tbody tr").first(), /a\.csv[^]*row 8: expected 14 columns/);
});

onPage("who asks for it is notified of the end, also from the list, and the tab shows how far it is", async (page, context) => {
  const tenant = newTenant();
  const id = await course(tenant, "import", [1, 50]);
  await context.addInitScript(() => {
    window.notified = [];
    window.Notification = class extends EventTarget {
      static permission = "default";
      static requestPermission = async () => "granted";
      constructor(title, { body }) {
        super();
        window.notified.push(`${title} | ${body}`);
      }
    };
  });
  await open(page, tenant.owner, `/jobs/${id}`);
  const icon = () => page.locator('link[rel="icon"]').getAttribute("href");
  await eventually(async () => assert.match(await icon(), /^data:image\/svg\+xml,/));
  await button(page, "Notify me").click();
  await button(page, "Will notify you").waitFor();
  await page.getByRole("link", { name: "Jobs" }).first().click();
  await row(page, "import").waitFor();
  assert.equal(await icon(), "icon.svg");
  await live(page);
  await checkpoint(tenant, { job: "import", items_completed: 100, state: "completed" });
  await eventually(async () => assert.deepEqual(await page.evaluate(() => window.notified), ["Completed: import | 100 of 100 items"]));
  await page.reload();
  await row(page, "import").waitFor();
  assert.deepEqual(await page.evaluate(() => window.notified), []);
});

onPage("a job leads back to the list as it was", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, ...Array.from({ length: 40 }, (_, n) => ({ job: `job-${n}`, items_completed: 1 })));
  await open(page, tenant.owner);
  await row(page, "job-39").waitFor();
  await page.getByLabel("Sort").selectOption("Needs attention first");
  await page.locator('ol.jobs:not([aria-busy="true"]) li').first().waitFor();
  await page.evaluate(() => scrollTo(0, 900));
  // Somewhere in the middle of the screen.
  const name = await page.evaluate(() => document.elementFromPoint(600, 450).closest("li").querySelector("a").textContent);
  const link = page.getByRole("link", { name, exact: true });
  const before = await link.boundingBox();
  await link.click();
  await heading(page, name).waitFor();
  await page.locator("a.back").click();
  await eventually(async () => assert.deepEqual(await link.boundingBox(), before));
  assert.match(page.url(), /\?sort=attention$/);
});
