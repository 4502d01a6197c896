// The page in Chromium, by what a person does and sees, on data from the local stack.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";

import { checkpoint, create, eventually, given, launch, misbehave, newTenant, read } from "./stage.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let browser;

before(async () => {
  browser = await launch();
});

after(async () => {
  await misbehave();
  await browser.close();
});

/** A test with a page of its own; whatever the browser complained about fails it. */
function onPage(name, act, { allow = /^$/, ...options } = {}) {
  test(name, async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-US", ...options });
    context.setDefaultTimeout(8000);
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.stack));
    try {
      await act(page, context);
      assert.deepEqual(complaints.filter((complaint) => !allow.test(complaint)), []);
    } finally {
      await context.close();
    }
  });
}

async function open(page, token, address = "") {
  await page.goto(`${given.url}/#access_token=${token}`);
  await page.locator("body > header:not([hidden])").waitFor();
  if (address) await page.evaluate((to) => (location.hash = to), address);
}

const live = (page) => page.locator('.connection[data-state="live"]').waitFor();
const row = (page, name) => page.locator("li.job", { hasText: name });
const heading = (page, name) => page.getByRole("heading", { level: 1, name });
const shows = (locator, wanted) => eventually(async () => {
  assert.ok(await locator.isVisible());
  assert.match(await locator.innerText(), wanted);
});
const violations = async (page) => {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => window.axe.run());
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => html.slice(0, 160) + failureSummary).join(" | ")}`);
};
/** What reaches beyond the right edge, save in a box that scrolls by itself. */
const tooWide = (page) => page.evaluate(() =>
  [...document.querySelectorAll("body *:not(.bar *, .spoken, .scrolls *, .job .sub, .job a)")]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5)
    .concat(document.scrollingElement.scrollWidth > innerWidth ? [document.body] : [])
    .map(({ outerHTML }) => outerHTML.slice(0, 120)));

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

onPage("a stranger sees nothing: no job, no count, no difference to an absent one", async (page) => {
  const tenant = newTenant();
  const [{ job_id: id }] = await checkpoint(tenant, { job: "secret-import", items_total: 10, items_completed: 1 });
  await open(page, tenant.stranger);
  await page.getByText("No jobs yet.").waitFor();
  await shows(page.locator('[data-counter="running"]'), /^\s*0/);
  const said = [];
  for (const address of [id, "00000000-0000-4000-8000-000000000000"]) {
    await page.evaluate((to) => (location.hash = to), `/jobs/${address}`);
    await heading(page, "No such job").waitFor();
    said.push(await page.locator("main").innerText());
    await page.evaluate(() => (location.hash = "/"));
    await page.getByText("No jobs yet.").waitFor();
  }
  assert.equal(said[0], said[1]);
  assert.doesNotMatch(await page.content(), /secret-import/);
}, { allow: /404/ });

onPage("without a token there is nothing but how to sign in", async (page) => {
  for (const address of ["/", "/#/jobs/00000000-0000-4000-8000-000000000000"]) {
    await page.goto(given.url + address);
    await heading(page, "Sign in to Milepost").waitFor();
    assert.match(await page.locator("main").innerText(), /milepost dev/);
    assert.equal(await page.getByRole("button", { name: "Sign out" }).count(), 0);
  }
});

onPage("the token leaves the address, lasts for the tab, and goes with signing out", async (page, context) => {
  const tenant = newTenant();
  await open(page, tenant.owner);
  await eventually(() => assert.equal(page.url(), `${given.url}/`));
  await page.reload();
  await page.getByText("No jobs yet.").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await heading(page, "Sign in to Milepost").waitFor();
  await page.reload();
  await heading(page, "Sign in to Milepost").waitFor();
  const other = await context.newPage();
  await other.goto(given.url);
  await heading(other, "Sign in to Milepost").waitFor();
});

onPage("a token that is over, or none at all, says so and asks to sign in", async (page) => {
  const tenant = newTenant();
  await page.goto(`${given.url}/#access_token=${tenant.expired}`);
  await shows(page.locator("main"), /Sign in to Milepost[^]*has ended/);
  await page.goto("about:blank");
  await page.goto(`${given.url}/#access_token=nonsense`);
  await heading(page, "Sign in to Milepost").waitFor();
}, { allow: /401/ });

onPage("where sign-in is by Supabase Auth, a link or a password lets in", async (page) => {
  const asked = [];
  // No Supabase Auth runs here, so its answers are played; the page's side is real.
  await page.route("**/config.json", (route) => route.fulfill({ json: { supabase_url: given.url.replace("127.0.0.1", "localhost"), publishable_key: given.publishable_key } }));
  await page.route("**/auth/v1/**", (route) => {
    asked.push([new URL(route.request().url()).pathname, route.request().postDataJSON()]);
    const isLink = route.request().url().includes("/otp");
    return route.fulfill(isLink ? { json: {} } : { status: 400, json: { code: 400, error_code: "invalid_credentials", msg: "Invalid login credentials" } });
  });
  await page.goto(given.url);
  await page.getByLabel("Email", { exact: true }).fill("ada@example.org");
  await page.getByRole("button", { name: "Continue" }).click();
  await shows(page.locator(".outcome"), /A link is on its way to ada@example\.org/);
  await page.getByLabel("Password").fill("wrong");
  await page.getByRole("button", { name: "Continue" }).click();
  await shows(page.locator(".outcome"), /password is not right/);
  assert.deepEqual(asked.map(([path]) => path), ["/auth/v1/otp", "/auth/v1/token"]);
  assert.equal(asked[0][1].create_user, false);
}, { allow: /400|Content Security Policy/ , bypassCSP: true });

onPage("without Realtime it polls and says so, and climbs back", async (page) => {
  const tenant = newTenant();
  const sockets = new Set();
  let isDown = false;
  await page.routeWebSocket(/realtime/, (socket) => {
    if (isDown) return socket.close();
    socket.connectToServer();
    sockets.add(socket);
  });
  await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  await open(page, tenant.owner);
  await live(page);
  isDown = true;
  for (const socket of sockets) await socket.close();
  await shows(page.locator(".connection"), /Every 2 s/);
  await shows(page.locator(".notice"), /live channel cannot be reached/);
  await checkpoint(tenant, { job: "import", items_completed: 6 });
  await shows(row(page, "import"), /60\.0%/);
  isDown = false;
  // What the browser says when the network is back.
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await live(page);
  assert.equal(await page.locator(".notice").isVisible(), false);
  await checkpoint(tenant, { job: "import", items_completed: 8 });
  await shows(row(page, "import"), /80\.0%/);
}, { allow: /WebSocket/ });

onPage("a cut connection comes back without anybody's help", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  await open(page, tenant.owner);
  await live(page);
  await page.evaluate(() => {
    window.seen = [];
    const connection = document.querySelector(".connection");
    new MutationObserver(() => window.seen.push(connection.dataset.state)).observe(connection, { attributes: true, attributeFilter: ["data-state"] });
  });
  await misbehave({ cut: true });
  await checkpoint(tenant, { job: "import", items_completed: 5 });
  await eventually(async () => assert.deepEqual(await page.evaluate(() => window.seen), ["polling", "live"]));
  await shows(row(page, "import"), /50\.0%/);
}, { allow: /WebSocket/ });

onPage("offline it keeps the last picture, says so, and goes on when back", async (page, context) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  await open(page, tenant.owner);
  await row(page, "import").waitFor();
  await context.setOffline(true);
  await shows(page.locator(".notice"), /offline/);
  await shows(row(page, "import"), /10\.0%/);
  await checkpoint(tenant, { job: "import", items_completed: 4 });
  await context.setOffline(false);
  await shows(row(page, "import"), /40\.0%/);
}, { allow: /Failed to (load|fetch)|ERR_INTERNET|WebSocket/ });

onPage("what people wrote never becomes HTML", async (page) => {
  const tenant = newTenant();
  const evil = `<img src=x onerror="window.hacked = 1"><script>window.hacked = 1</script><b>bold</b>`;
  const { job_id: id } = await create(tenant, { job: evil, name: evil, kind: evil, unit: evil, items_total: 10, metadata: { [evil]: evil }, stages: [{ name: evil }] });
  await checkpoint(tenant, { job: id, worker: evil, items_completed: 1, message: evil, stage: { name: evil, state: "running" }, cursor: { [evil]: evil }, items: [{ key: evil, state: "failed", error: evil, payload: { [evil]: evil } }] });
  await open(page, tenant.owner);
  await shows(row(page, "onerror"), /<script>[^]*<b>bold<\/b>/);
  await page.locator("li.job a").click();
  await heading(page, /onerror/).waitFor();
  await page.locator(".items .key").click();
  await page.getByLabel("progress and items too").check();
  await shows(page.locator(".events"), /Item failed/);
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await shows(page.getByRole("dialog"), /<b>bold/);
  await checkpoint(tenant, { job: id, worker: evil, state: "failed", reason: evil });
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll("img, b, main script")].map(({ outerHTML }) => outerHTML)), []);
});

for (const colorScheme of ["light", "dark"]) {
  onPage(`axe finds nothing to object to in ${colorScheme}`, async (page) => {
    const tenant = newTenant();
    await create(tenant, { job: "waiting", items_total: 10, start: false });
    const { job_id: id } = await create(tenant, { job: "import", name: "Nightly import", items_total: 100, metadata: { a: 1 }, stages: [{ name: "one" }, { name: "two" }], max_attempts: 1 });
    await checkpoint(tenant, ...["paused", "completed", "canceled", "failed"].map((state) => ({ job: state, items_total: 10, items_completed: 9, items_failed: 1, state })));
    await checkpoint(tenant, { job: "crawl", items_completed: 5 },
      ...["w1", "w2"].map((worker, n) => ({ job: "import", worker, items_completed: 3 + n, message: "at work", cursor: { n }, stage: { name: "one", items_total: 10, items_completed: 2 } })));
    await checkpoint(tenant, ...["w1", "w2"].map((worker, n) => ({ job: "import", worker, items_completed: 9 + 5 * n, items: [{ key: `item-${n}`, state: ["failed", "completed"][n], error: "broken" }] })));
    await page.goto(given.url);
    await heading(page, "Sign in to Milepost").waitFor();
    assert.deepEqual(await violations(page), []);
    await page.goto("about:blank");
    await open(page, tenant.owner);
    await row(page, "Nightly import").waitFor();
    await live(page);
    assert.deepEqual(await violations(page), []);
    await page.evaluate((to) => (location.hash = to), `/jobs/${id}`);
    await page.locator(".items .key").first().click();
    await page.locator(".workers .slow:visible").waitFor();
    assert.deepEqual(await violations(page), []);
    await page.getByRole("button", { name: "Retry" }).click();
    assert.deepEqual(await violations(page), []);
  }, { colorScheme, reducedMotion: "reduce" });
}

onPage("on a phone nothing scrolls sideways", async (page) => {
  const tenant = newTenant();
  const long = "a-very-long-name-".repeat(9);
  const { job_id: id } = await create(tenant, { job: long, name: long, unit: "rows", items_total: 2_000_000, metadata: { [long]: long }, stages: [{ name: "one" }, { name: long }] });
  await checkpoint(tenant, { job: id, worker: long, items_completed: 1_234_567, items_failed: 99_999, message: long, items: [{ key: long, stage: long, state: "completed" }] });
  await open(page, tenant.owner);
  await row(page, long).waitFor();
  assert.deepEqual(await tooWide(page), []);
  await page.locator("li.job a").click();
  await page.locator(".items .key").click();
  assert.deepEqual(await tooWide(page), []);
}, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });

onPage("filters and search are in the address and narrow the list", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, { job: "apples", kind: "fruit", items_total: 4, items_completed: 1 }, { job: "pears", kind: "fruit", items_total: 4, items_completed: 4, state: "completed" }, { job: "bolts", kind: "metal", items_total: 4, items_completed: 1 });
  await open(page, tenant.owner);
  await row(page, "apples").waitFor();
  const listed = async () => (await page.locator("li.job a").allInnerTexts()).sort();
  const shownAre = (...names) => eventually(async () => assert.deepEqual(await listed(), names));
  await page.getByLabel("Kind").selectOption("fruit");
  await shownAre("apples", "pears");
  await page.getByLabel("State", { exact: true }).selectOption("running");
  await shownAre("apples");
  assert.match(page.url(), /#\/\?kind=fruit&state=running$/);
  await page.reload();
  await shownAre("apples");
  assert.equal(await page.getByLabel("Kind").inputValue(), "fruit");
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

onPage("the counters tell what runs, waits and failed", async (page) => {
  const tenant = newTenant();
  await create(tenant, { job: "later", start: false });
  await create(tenant, { job: "broken", max_attempts: 1 });
  await checkpoint(tenant, { job: "now", items_completed: 1 });
  await open(page, tenant.owner);
  const counted = async () => Object.fromEntries(await page.locator("[data-counter]").evaluateAll((links) => links.map((link) => [link.dataset.counter, link.querySelector(".figure").textContent])));
  await eventually(async () => assert.deepEqual(await counted(), { running: "2", waiting: "1", stuck: "0", failed: "0" }));
  await checkpoint(tenant, { job: "broken", state: "failed", reason: "no luck" });
  await eventually(async () => assert.deepEqual(await counted(), { running: "1", waiting: "1", stuck: "0", failed: "1" }));
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

onPage("long lists come in pages", async (page) => {
  const tenant = newTenant();
  await checkpoint(tenant, ...Array.from({ length: 130 }, (_, n) => ({ job: `job-${String(n).padStart(3, "0")}`, items_total: 10, items_completed: 1 })));
  await open(page, tenant.owner);
  await eventually(async () => assert.equal(await page.locator("li.job").count(), 100));
  await page.getByRole("button", { name: "Show more" }).click();
  await eventually(async () => assert.equal(await page.locator("li.job").count(), 130));
  assert.equal(await page.getByRole("button", { name: "Show more" }).isVisible(), false);
  // Rows out of sight are not laid out, so they have text but no rendered one.
  const names = await page.locator("li.job a").allTextContents();
  assert.equal(new Set(names).size, 130);
});

onPage("the first view is under 150 kB compressed, all from one origin", async (page) => {
  const tenant = newTenant();
  const bodies = [];
  page.on("response", async (answer) => {
    if (answer.status() === 200 && new URL(answer.url()).pathname.match(/\.(js|css|svg|json|html)$|\/$/)) bodies.push(answer.body().then((body) => [answer.url(), gzipSync(body).length]));
    assert.ok(answer.url().startsWith(given.url), answer.url());
  });
  await open(page, tenant.owner);
  await page.getByText("No jobs yet.").waitFor();
  const sizes = await Promise.all(bodies);
  assert.ok(sizes.length > 8, `${sizes.length} files`);
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  assert.ok(total < 150_000, `${total} bytes`);
});
