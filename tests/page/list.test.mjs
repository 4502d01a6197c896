// The list in Chromium, by what a person does and sees.

import assert from "node:assert/strict";

import { heading, live, onPage, open, row, shows, violations } from "./browser.mjs";
import { checkpoint, create, eventually, newTenant, userOf } from "./stage.mjs";

onPage("the list shows a job and moves without a reload", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "import", name: "Nightly import", kind: "csv", unit: "rows", items_total: 10, items_completed: 3, message: "chunk 3" });
  await open(page, tenant.owner);
  await live(page);
  await shows(row(page, "Nightly import"), /30\.0%[^]*3 of 10 rows[^]*Running/);
  await page.evaluate(() => (window.stayed = true));
  await checkpoint(tenant, { job: "import", items_completed: 7, message: "chunk 7" });
  await shows(row(page, "Nightly import"), /chunk 7[^]*70\.0%[^]*7 of 10 rows/);
  assert.equal(await row(page, "Nightly import").getByRole("progressbar").getAttribute("aria-valuenow"), "70");
  assert.equal(await page.evaluate(() => window.stayed), true);
});

onPage("a new job comes to the top by itself, and the empty list says what to do until then", async (page) => {
  const tenant = newTenant();
  await open(page, tenant.owner);
  await live(page);
  await shows(page.locator(".empty"), /No jobs yet[^]*curl .*\/v1\/checkpoints/);
  await checkpoint(tenant, { job: "first", items_total: 2, items_completed: 1 });
  await row(page, "first").waitFor();
  await checkpoint(tenant, { job: "second", items_total: 2, items_completed: 1 });
  await row(page, "second").waitFor();
  assert.deepEqual(await page.locator("li.job a").allInnerTexts(), ["second", "first"]);
});

onPage("an unknown percent is a moving bar and never 0 %", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "crawl", unit: "pages", items_completed: 120 });
  await open(page, tenant.owner);
  await shows(row(page, "crawl"), /120 pages[^]*total unknown/);
  const bar = row(page, "crawl").getByRole("progressbar");
  assert.equal(await bar.getAttribute("aria-valuenow"), null);
  assert.match(await bar.getAttribute("aria-valuetext"), /^unknown/);
  assert.doesNotMatch(await row(page, "crawl").innerText(), /%/);
  assert.ok((await bar.locator(".done").boundingBox()).width > 20);
});

onPage("filters and search are in the address and narrow the list", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "apples", kind: "fruit", items_total: 4, items_completed: 1 }, { job: "pears", kind: "fruit", items_total: 4, items_completed: 4, state: "completed" }, { job: "bolts", kind: "metal", items_total: 4, items_completed: 1 });
  await open(page, tenant.owner);
  await row(page, "apples").waitFor();
  const listed = async () => (await page.locator("li.job a").allInnerTexts()).sort();
  const shownAre = (...names) => eventually(async () => assert.deepEqual(await listed(), names));
  await page.getByLabel("Kind", { exact: true }).selectOption("fruit");
  await shownAre("apples", "pears");
  await page.getByLabel("State", { exact: true }).selectOption("running");
  await shownAre("apples");
  assert.match(page.url(), /#\/\?kind=fruit&state=running$/);
  await page.reload();
  await shownAre("apples");
  assert.equal(await page.getByLabel("Kind", { exact: true }).inputValue(), "fruit");
  await checkpoint(tenant, { job: "apples", items_completed: 4, state: "completed" });
  await page.getByText("No job matches.").waitFor();
  await page.getByRole("button", { name: "Clear" }).click();
  await shownAre("apples", "bolts", "pears");
  await page.getByLabel("Search jobs").fill("pea");
  await shownAre("pears");
  assert.match(page.url(), /\?q=pea$/);
  await page.getByLabel("Search jobs").fill("");
  await page.getByRole("link", { name: /Running/ }).click();
  await shownAre("bolts");
});

onPage("the counters tell what runs, waits and failed, by one question", async (page) => {
  const tenant = newTenant();
  await create(tenant, { job: "later", start: false });
  await create(tenant, { job: "broken", max_attempts: 1 });
  await checkpoint(tenant, { job: "now", items_completed: 1 });
  let asked = 0;
  page.on("request", (request) => (asked += request.url().endsWith("/rpc/job_counts") ? 1 : 0));
  await open(page, tenant.owner);
  const counted = async () => Object.fromEntries(await page.locator("[data-counter]").evaluateAll((links) => links.map((link) => [link.dataset.counter, link.querySelector(".figure").textContent])));
  await eventually(async () => assert.deepEqual(await counted(), { running: "2", waiting: "1", stuck: "0", failed_24h: "0", items_per_s: "–" }));
  assert.equal(asked, 1);
  await checkpoint(tenant, { job: "broken", state: "failed", reason: "no luck" });
  await eventually(async () => assert.deepEqual(await counted(), { running: "1", waiting: "1", stuck: "0", failed_24h: "1", items_per_s: "–" }));
  await page.getByRole("link", { name: /Failed in 24 h/ }).click();
  await eventually(async () => assert.deepEqual(await page.locator("li.job a").allInnerTexts(), ["broken"]));
});

onPage("the keyboard is enough", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "one", items_completed: 1 }, { job: "two", items_completed: 1 });
  await open(page, tenant.owner);
  await row(page, "one").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("on");
  await eventually(async () => assert.equal(await page.locator("li.job").count(), 1));
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  for (let n = 0; n < 8 && (await focused()) !== "one"; n++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await heading(page, "one").waitFor();
  assert.equal(await focused(), "one");
  await page.goBack();
  await eventually(async () => assert.equal(await page.evaluate(() => document.activeElement.getAttribute("href")?.startsWith("#/jobs/")), true));
  assert.match(page.url(), /\?q=on$/);
});

onPage("a message changes its own row and no other", async (page) => {
  const tenant = newTenant();
  // The others stand still, so that only a message could change them.
  await checkpoint(tenant, ...["a", "b", "c"].map((job) => ({ job: `job-${job}`, items_total: 100, items_completed: 1, state: job === "b" ? "running" : "completed" })));
  await open(page, tenant.owner);
  await live(page);
  await row(page, "job-c").waitFor();
  await page.evaluate(() => {
    window.touched = new Set();
    new MutationObserver((changes) => {
      for (const { target } of changes) {
        const element = target.nodeType === 1 ? target : target.parentElement;
        // "3 s ago" goes on in every row.
        if (element && !element.closest("time")) window.touched.add(element.closest("li.job")?.querySelector("a").textContent ?? element.closest("ol.jobs")?.tagName);
      }
    }).observe(document.querySelector("ol.jobs"), { subtree: true, childList: true, characterData: true, attributes: true });
  });
  for (let n = 2; n < 12; n++) await checkpoint(tenant, { job: "job-b", items_completed: n });
  await shows(row(page, "job-b"), /11\.0%/);
  assert.deepEqual(await page.evaluate(() => [...window.touched]), ["job-b"]);
});

const names = (page) => page.locator("li.job a").allTextContents();

onPage("of a long list only what is near the eye is in the page, and the rest comes by scrolling", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, ...Array.from({ length: 130 }, (_, n) => ({ job: `job-${String(n).padStart(3, "0")}`, items_total: 10, items_completed: 1 })));
  await open(page, tenant.owner);
  await live(page);
  await row(page, "job-129").waitFor();
  assert.ok((await names(page)).length < 60);
  const seen = new Set();
  await eventually(async () => {
    for (const name of await names(page)) seen.add(name);
    await page.mouse.wheel(0, 400);
    assert.ok(seen.has("job-000"), `${seen.size} jobs seen`);
  });
  assert.equal(seen.size, 130);
  assert.ok((await names(page)).length < 60);
  assert.equal(await page.getByRole("button", { name: "Show more" }).isVisible(), false);
  // A row that was out of sight is up to date when it comes into sight.
  await checkpoint(tenant, { job: "job-129", items_completed: 7 });
  await page.evaluate(() => scrollTo(0, 0));
  await shows(row(page, "job-129"), /70\.0%/);
});

onPage("a new job does not move what the reader looks at", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, ...Array.from({ length: 60 }, (_, n) => ({ job: `job-${n}`, items_total: 10, items_completed: 1 })));
  await open(page, tenant.owner);
  await live(page);
  await row(page, "job-59").waitFor();
  await page.evaluate(() => scrollTo(0, 1500));
  await row(page, "job-30").waitFor();
  const place = async () => Math.round((await row(page, "job-30").boundingBox()).y);
  const before = await place();
  const height = () => page.evaluate(() => document.querySelector("ol.jobs").offsetHeight);
  const tall = await height();
  await checkpoint(tenant, { job: "new", items_completed: 1 });
  await eventually(async () => assert.ok((await height()) > tall));
  assert.equal(await place(), before);
});

onPage("a list can be sorted by what ends soonest and by what needs somebody, and the address keeps it", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, ...[["half", 50], ["nearly", 90], ["begun", 10]].map(([job, items_completed]) => ({ job, items_total: 100, items_completed: items_completed - 5 })), { job: "failing", items_completed: 50, items_failed: 20 });
  await checkpoint(tenant, ...[["half", 50], ["nearly", 90], ["begun", 10]].map(([job, items_completed]) => ({ job, items_completed })));
  await checkpoint(tenant, { job: "over", items_total: 1, items_completed: 1, state: "completed" });
  await open(page, tenant.owner);
  const listed = (...wanted) => eventually(async () => assert.deepEqual(await names(page), wanted));
  await row(page, "over").waitFor();
  await page.getByLabel("Sort").selectOption("Finishing soonest");
  await listed("nearly", "half", "begun", "failing");
  await page.getByText("Sorted lists show active jobs only.").waitFor();
  await page.getByLabel("Sort").selectOption("Needs attention first");
  await eventually(async () => assert.equal((await names(page))[0], "failing"));
  assert.match(page.url(), /#\/\?sort=attention$/);
  await page.reload();
  await eventually(async () => assert.equal((await names(page))[0], "failing"));
  await page.getByLabel("Sort").selectOption("Newest first");
  await eventually(async () => assert.equal((await names(page)).length, 5));
});

onPage("jobs are grouped by kind, groups fold, and the address keeps it", async (page) => {
  const tenant = newTenant();
  await create(tenant, { job: "wait", kind: "metal, cut", start: false });
  await checkpoint(tenant, { job: "apple", kind: "fruit", items_completed: 1 });
  await checkpoint(tenant, { job: "pear", kind: "fruit", items_completed: 1, state: "completed" }, { job: "bolt", kind: "metal, cut", items_completed: 1 });
  await open(page, tenant.owner);
  await row(page, "apple").waitFor();
  await page.getByLabel("By kind").check();
  const group = (name) => page.getByRole("button", { name });
  await shows(group(/^fruit/), /2 listed · 1 running/);
  await shows(group(/^metal/), /2 listed · 1 running · 1 waiting/);
  await eventually(async () => assert.deepEqual(await names(page), ["pear", "apple", "bolt", "wait"]));
  await group(/^metal/).click();
  await eventually(async () => assert.deepEqual(await names(page), ["pear", "apple"]));
  assert.equal(await group(/^metal/).getAttribute("aria-expanded"), "false");
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-expanded")), "false");
  await page.reload();
  await eventually(async () => assert.deepEqual(await names(page), ["pear", "apple"]));
  await group(/^metal/).click();
  await eventually(async () => assert.equal((await names(page)).length, 4));
});

onPage("one can see one's own jobs only", async (page) => {
  const tenant = newTenant();
  await create(tenant, { job: "mine", owner_id: userOf(tenant.owner) });
  await create(tenant, { job: "a teammate's", owner_id: userOf(tenant.teammate) });
  await open(page, tenant.owner);
  await row(page, "mine").waitFor();
  await page.getByLabel("Owner").selectOption("Mine");
  await eventually(async () => assert.deepEqual(await names(page), ["mine"]));
  assert.match(page.url(), /\?owner=me$/);
  await checkpoint(tenant, { job: "nobody's", items_completed: 1 });
  await create(tenant, { job: "mine too", owner_id: userOf(tenant.owner) });
  await eventually(async () => assert.deepEqual(await names(page), ["mine too", "mine"]));
});

onPage("a member of several tenants switches between them, and the choice stays", async (page) => {
  const [one, other] = [newTenant(), newTenant()];
  await checkpoint(one, { job: "of the one", items_completed: 1 });
  await checkpoint(other, { job: "of the other", items_completed: 1 });
  await open(page, one.both);
  const tenants = page.getByLabel("Tenant");
  for (const [tenant, job] of [[other, "of the other"], [one, "of the one"], [other, "of the other"]]) {
    await tenants.selectOption(tenant.tenant_id);
    await eventually(async () => assert.deepEqual(await names(page), [job]));
  }
  await page.reload();
  await eventually(async () => assert.deepEqual(await names(page), ["of the other"]));
  // Of this tenant a viewer: the role goes with the job that is shown.
  await page.locator("li.job a").click();
  await shows(page.locator(".far"), /1 items/);
  assert.equal(await page.getByRole("group", { name: "Controls" }).count(), 0);
});

onPage("the keys of the help do what it says", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, ...["one", "two", "three"].map((job) => ({ job, items_completed: 1 })));
  await open(page, tenant.owner);
  await row(page, "three").waitFor();
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  const order = await names(page);
  await page.keyboard.press("j");
  assert.equal(await focused(), order[0]);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  assert.equal(await focused(), order[2]);
  await page.keyboard.press("k");
  assert.equal(await focused(), order[1]);
  await page.keyboard.press("Enter");
  await heading(page, order[1]).waitFor();
  await page.keyboard.press("u");
  await eventually(async () => assert.equal(await focused(), order[1]));
  await page.keyboard.press("Enter");
  await heading(page, order[1]).waitFor();
  await page.keyboard.press("g");
  await page.keyboard.press("l");
  await eventually(async () => assert.equal(await page.locator("li.job").count(), 3));
  await page.keyboard.press("?");
  await shows(page.getByRole("dialog", { name: "Keyboard shortcuts" }), /Search[^]*Next job[^]*Go to the jobs/);
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("j"); // in a dialog keys mean nothing else
  await page.keyboard.press("Escape");
  await eventually(async () => assert.equal(await page.getByRole("dialog").count(), 0));
});

onPage("a list that cannot be read says so, and comes when it can", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "import", items_completed: 1 });
  let isAway = true;
  await page.route("**/rpc/search_jobs", (route) => (isAway ? route.fulfill({ status: 503, json: { code: "PGRST000", message: "The database is away." } }) : route.continue()));
  await open(page, tenant.owner);
  await shows(page.locator(".empty"), /cannot be read[^]*The database is away\. It is tried again by itself\./);
  isAway = false;
  await row(page, "import").waitFor();
  assert.equal(await page.locator(".empty").isVisible(), false);
}, { allow: /503/ });
