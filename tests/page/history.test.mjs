// The page's history in Chromium: what ended, by range, kind, outcome and text, and as a file.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { csvLine } from "../../public/csv.js";
import { eventually, given, launch, newTenant } from "./stage.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const tenant = newTenant();
const JOBS = 127; // of the last 30 days
let browser;

before(async () => {
  browser = await launch();
});
after(() => browser.close());

function onHistory(name, act, { address = "/history", token = tenant.owner, allow = /^$/, ...options } = {}) {
  test(name, async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-US", ...options });
    context.setDefaultTimeout(30_000);
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.stack));
    try {
      await page.goto(`${given.url}/#access_token=${token}`);
      await page.locator("body > header:not([hidden])").waitFor();
      await page.evaluate((to) => (location.hash = to), address);
      await page.locator('.past[aria-busy="false"], .past:not([aria-busy="true"])').waitFor();
      await act(page, context);
      assert.deepEqual(complaints.filter((complaint) => !allow.test(complaint)), []);
    } finally {
      await context.close();
    }
  });
}

const rows = (page) => page.locator(".runs li");
const fact = (page, name) => page.locator(`[data-fact="${name}"]`);
const shows = (locator, wanted) => eventually(async () => assert.match(await locator.innerText(), wanted));
const count = (locator, wanted) => eventually(async () => assert.equal(await locator.count(), wanted));

test("a line of CSV is read back as what it was, and no cell is a formula", () => {
  assert.equal(csvLine(["a", 'say "hi", b', "two\nlines", null, undefined, 1.5, true]), 'a,"say ""hi"", b","two\nlines",,,1.5,true\r\n');
  assert.equal(csvLine(["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=1", "＝1"]), `'=1+1,'+1,'-1,'@SUM(A1),'\tx,"'\rx","'\n=1",'＝1\r\n`);
  assert.equal(csvLine([-5, "a=b", "", { a: 1 }]), '-5,a=b,,"{""a"":1}"\r\n');
});

onHistory("a chart of one day has room beside it, and one of several from the first to the last", async (page) => {
  const spans = await page.evaluate(async () => {
    const { span } = await import("/trends.js");
    const day = 86_400_000;
    return [span([{ ms: day }], false), span([{ ms: day }], true), span([{ ms: day }, { ms: 41 * day }], false), span([{ ms: day }, { ms: 41 * day }], true)];
  });
  assert.deepEqual(spans, [[46_800, 126_000], [46_800, 126_000], [86_400, 3_542_400], [0, 3_628_800]]);
});

onHistory("it shows figures, trends, kinds, errors and jobs of the last 30 days", async (page) => {
  assert.equal(await page.title(), "History · Milepost");
  await shows(fact(page, "runs"), /127[^]*120 completed/);
  await shows(fact(page, "failed"), /4\.7%[^]*6 failed, 1 canceled/);
  await shows(fact(page, "took"), /11 min[^]*p95/);
  await shows(page.locator(".kinds tbody tr").first(), /csv_import\s+120\s+0\.0%\s+11 min/);
  await shows(page.locator(".patterns li").first(), /6 ×\s+row <n> of <text>: no date\s+last in crawl-1/);
  assert.equal(await rows(page).count(), 50);
  await shows(rows(page).first(), /Crawl 1|Import 1/);
  for (const chart of await page.locator(".trend canvas").all()) assert.ok((await chart.boundingBox()).width > 200);
});

onHistory("the trends can be read as words and as a table, and axe finds nothing to object to in both themes", async (page) => {
  await page.getByText("Trends as a table").click();
  const line = page.locator(".trends tbody tr").nth(3);
  await shows(line, /^\w+ \d+\s+1\d\s+1\d min\s+1\d min\s+1\.\d+ items\/s\s+\d\.\d%$/);
  const says = page.locator("#trend-duration");
  const atFirst = await says.innerText();
  await page.locator(".trend .u-over").first().hover({ position: { x: 10, y: 40 } });
  await eventually(async () => assert.notEqual(await says.innerText(), atFirst));
  assert.match(await page.locator("#trend-failures").innerText(), /failed \d/);
  await page.evaluate(axe);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await page.evaluate(() => window.axe.run());
    assert.deepEqual(violations.map(({ id, nodes }) => `${colorScheme} ${id}: ${nodes.map(({ html, failureSummary }) => html.slice(0, 160) + failureSummary).join(" | ")}`), []);
  }
});

onHistory("a kind is chosen in the table, kept in the address, and let go again", async (page) => {
  await page.getByRole("button", { name: "crawl", exact: true }).click();
  await shows(fact(page, "runs"), /^Jobs ended\s+6\s/);
  await count(rows(page), 6);
  assert.match(page.url(), /#\/history\?kind=crawl$/);
  await page.reload();
  await count(rows(page), 6);
  assert.equal(await page.getByLabel("Kind", { exact: true }).inputValue(), "crawl");
  assert.equal(await page.getByRole("button", { name: "crawl", exact: true }).getAttribute("aria-pressed"), "true");
  assert.equal(await page.locator(".kinds tbody tr").count(), 3);
  await page.getByRole("button", { name: "Clear" }).click();
  await shows(fact(page, "runs"), /127/);
  assert.match(page.url(), /#\/history$/);
});

onHistory("outcome, text and dates narrow it", async (page) => {
  await page.getByLabel("Outcome").selectOption("canceled");
  await count(rows(page), 1);
  await page.getByLabel("Outcome").selectOption("");
  await page.getByLabel("Search finished jobs").fill("import 7");
  await count(rows(page), 11);
  await page.getByLabel("Search finished jobs").fill("");
  await page.getByLabel("Time").selectOption("90d");
  await shows(fact(page, "runs"), /128/);
  await page.getByLabel("Time").selectOption("own");
  const day = new Date(Date.now() - 60 * 86_400_000);
  const text = [day.getFullYear(), day.getMonth() + 1, day.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
  await page.getByLabel("From", { exact: true }).fill(text);
  await page.getByLabel("To", { exact: true }).fill(text);
  await count(rows(page), 1);
  await shows(rows(page).first(), /Ancient/);
  assert.match(page.url(), new RegExp(`since=${text}&until=${text}`));
});

onHistory("more jobs come page by page, each once, the keyboard goes on where they begin, and a job opens", async (page) => {
  await page.getByRole("button", { name: "Show more" }).click();
  await count(rows(page), 100);
  assert.equal(await page.evaluate(() => [...document.querySelectorAll(".runs a")].indexOf(document.activeElement)), 50);
  await page.getByRole("button", { name: "Show more" }).click();
  await count(rows(page), JOBS);
  assert.equal(await page.getByRole("button", { name: "Show more" }).isVisible(), false);
  const links = await page.locator(".runs a").evaluateAll((all) => all.map(({ href }) => href));
  assert.equal(new Set(links).size, JOBS);
  await page.getByRole("link", { name: "Crawl 1", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Crawl 1" }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { level: 1, name: "History" }).waitFor();
});

onHistory("what is filtered is exported whole, and mischief stays text", async (page) => {
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export CSV" }).click();
  const file = await download;
  assert.equal(file.suggestedFilename(), "milepost-30d.csv");
  const text = await readFile(await file.path(), "utf8");
  const lines = text.split("\r\n");
  assert.equal(lines.length, JOBS + 2);
  assert.match(lines[0], /^job_id,job,kind,name,state,/);
  const evil = lines.find((line) => line.includes("evil"));
  assert.match(evil, /,'=evil,media,"'=HYPERLINK\(""http:\/\/x"", ""y""\)",canceled,,"'\+first\n<img/);
  await shows(page.locator(".export"), /127 jobs exported/);
});

onHistory("an export goes page by page, says how far it is, and can be stopped", async (page) => {
  let pages = 0;
  let hold;
  await page.route("**/rpc/list_finished_jobs", async (route) => {
    const asked = route.request().postDataJSON();
    if (asked.limit !== 200) return route.continue();
    pages += 1;
    if (pages > 1) await new Promise((resolve) => (hold = resolve));
    // Pages of 20, so that there are several.
    await route.continue({ postData: JSON.stringify({ ...asked, limit: 20 }) });
  });
  let saved = false;
  page.on("download", () => (saved = true));
  await page.getByRole("button", { name: "Export CSV" }).click();
  await shows(page.locator(".export"), /20 of 127 jobs/);
  await page.getByRole("button", { name: "Stop" }).click();
  await eventually(() => assert.ok(hold));
  hold();
  await shows(page.locator(".export"), /Export stopped; nothing was saved/);
  assert.equal(pages, 2);
  assert.equal(saved, false);
});

onHistory("what cannot be read is said, and can be tried again", async (page) => {
  await page.route("**/rpc/job_history_stats", (route) => route.fulfill({ status: 503, contentType: "application/json", body: '{"code": "database_unavailable", "message": "The database is away."}' }));
  await page.getByLabel("Time").selectOption("7d");
  await shows(page.locator(".past .empty"), /cannot be read[^]*The database is away/);
  assert.equal(await page.locator(".runs").isVisible(), false);
  await page.unroute("**/rpc/job_history_stats");
  await page.getByRole("button", { name: "Try again" }).click();
  await rows(page).first().waitFor();
}, { allow: /503/ });

onHistory("of a time in which more jobs ended than can be counted, a shorter one is asked for", async (page) => {
  await page.route("**/rpc/job_history_stats", (route) => route.fulfill({ status: 500, contentType: "application/json", body: '{"code": "57014", "message": "canceling statement due to statement timeout"}' }));
  await page.getByLabel("Time").selectOption("90d");
  await shows(page.locator(".past .empty"), /cannot be read[^]*choose a shorter one/);
}, { allow: /500/ });

onHistory("a stranger sees nothing of it, and where nothing ended it says what to do", async (page) => {
  await shows(page.locator(".past .empty"), /No job ended so[^]*clear the filters/);
  assert.doesNotMatch(await page.locator("main").innerText(), /crawl|import/i);
}, { token: tenant.stranger, address: "/history?q=import" });

onHistory("on a phone nothing reaches beyond the edge", async (page) => {
  await rows(page).first().waitFor();
  const tooWide = await page.evaluate(() => [...document.querySelectorAll("main *:not(.scrolls *, .spoken, .runs .sub, .runs a, .trend *)")]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5).map(({ outerHTML }) => outerHTML.slice(0, 120)));
  assert.deepEqual(tooWide, []);
}, { viewport: { width: 390, height: 844 } });
