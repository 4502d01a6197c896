// What the page costs a browser with 10,000 jobs in the list: CPU time of all of Chromium's processes while nothing
// happens, while jobs move 100 times a second, and while somebody scrolls through them meanwhile.
//
//     node benchmarks/page.mjs
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const JOBS = 10_000;
const UPDATES_PER_S = 100;
const POSTS_PER_S = 2;
const SECONDS = 20;
const PER_REQUEST = 200;

const root = fileURLToPath(new URL("../", import.meta.url));
const stack = spawn(`${root}.venv/bin/python`, ["-m", "milepost.local.dev", "--json", "--until-stdin-ends"], { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
const [line] = await once(createInterface({ input: stack.stdout }), "line");
const access = JSON.parse(line);

// The tenant's budget would hold most of this progress back; here the page is to hear it all.
const LIFT = "import psycopg, sys; psycopg.connect(sys.argv[1], autocommit=True).execute('update milepost.tenants set progress_interval_ms = 0, messages_per_s = 100000')";
execFileSync(`${root}.venv/bin/python`, ["-c", LIFT, access.database_url]);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const name = (n) => `job-${String(n).padStart(5, "0")}`;
const done = new Map();

async function checkpoint(jobs) {
  const entries = jobs.map((n) => {
    done.set(n, (done.get(n) ?? 0) + 1);
    return { job: name(n), kind: `kind ${n % 20}`, unit: "rows", items_total: 1000, items_completed: done.get(n), message: `chunk ${done.get(n)}` };
  });
  const body = JSON.stringify(entries);
  const post = () => fetch(`${access.api_url}/v1/checkpoints`, { method: "POST", headers: { authorization: `Bearer ${access.worker_key}`, "content-type": "application/json" }, body });
  let answer = await post();
  for (let tries = 0; answer.status === 503 && tries < 5; tries++) {
    await pause(1000 * Number(answer.headers.get("retry-after")));
    answer = await post();
  }
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
}

/** Jobs move, so many a second, spread over those the reader can see and all the others; returns how to stop it. */
function moving() {
  let goesOn = true;
  let moved = 0;
  const work = (async () => {
    const began = performance.now();
    for (let post = 0; goesOn; post++) {
      const each = UPDATES_PER_S / POSTS_PER_S;
      // Every fourth is on the first screen, where the page has to draw it.
      await checkpoint(Array.from({ length: each }, (_, k) => (k % 4 === 0 ? JOBS - 1 - ((post + k) % 12) : Math.floor(Math.random() * JOBS))));
      moved += each;
      await pause(Math.max(0, began + (1000 * (post + 1)) / POSTS_PER_S - performance.now()));
    }
  })();
  return async () => {
    goesOn = false;
    await work;
    return moved;
  };
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const system = await browser.newBrowserCDPSession();
const cpuSeconds = async () => (await system.send("SystemInfo.getProcessInfo")).processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0);

let heard = 0; // messages of progress that reached the page

/** What a while costs: the share of one core, of the page's thread and of all of Chromium, and the slowest frames. */
async function measured(page, what, act = () => pause(SECONDS * 1000)) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Performance.enable");
  const busy = async () => Object.fromEntries((await devtools.send("Performance.getMetrics")).metrics.map(({ name: of, value }) => [of, value]));
  await page.evaluate(() => {
    window.frames_ms = [];
    let before = performance.now();
    const next = (now) => {
      window.frames_ms.push(now - before);
      before = now;
      if (window.frames_ms) window.measuring = requestAnimationFrame(next);
    };
    window.measuring = requestAnimationFrame(next);
  });
  const [from, cpu, began] = [await busy(), await cpuSeconds(), performance.now()];
  const heardBefore = heard;
  await act();
  const [to, cpuAfter, seconds] = [await busy(), await cpuSeconds(), (performance.now() - began) / 1000];
  const frames = await page.evaluate(() => {
    cancelAnimationFrame(window.measuring);
    return window.frames_ms.sort((a, b) => a - b);
  });
  const share = (a, b) => ((b - a) / seconds).toFixed(2);
  console.log(`| ${what} | ${((heard - heardBefore) / seconds).toFixed(0)} | ${share(cpu, cpuAfter)} | ${share(from.TaskDuration, to.TaskDuration)} | ${share(from.ScriptDuration, to.ScriptDuration)} | ${frames[Math.floor(frames.length * 0.95)].toFixed(0)} ms |`);
  await devtools.detach();
}

try {
  for (let n = 0; n < JOBS; n += PER_REQUEST) await checkpoint(Array.from({ length: PER_REQUEST }, (_, k) => n + k));
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => (heard += /job\.progress/.test(String(payload)) ? 1 : 0)));
  await page.goto(access.dashboard_url);
  await page.locator("li.job").first().waitFor();
  // All pages are loaded by scrolling on, as a reader would.
  const loading = performance.now();
  await page.waitForFunction((all) => {
    scrollTo(0, document.body.scrollHeight);
    return Number(document.querySelector("li.job:last-child")?.ariaSetSize) >= all;
  }, JOBS, { polling: 100, timeout: 600_000 });
  console.log(`${JOBS} jobs loaded by scrolling to the end in ${((performance.now() - loading) / 1000).toFixed(0)} s; ${await page.locator("li.job").count()} rows in the page`);
  await page.evaluate(() => scrollTo(0, 0));
  await page.locator('.connection[data-state="live"]').waitFor();
  await pause(3000);

  console.log("| what happens | messages a second | Chromium, cores | page's thread, cores | of it script | frame, p95 |\n| --- | --- | --- | --- | --- | --- |");
  await measured(page, "nothing");
  let stop = moving();
  await pause(2000);
  await measured(page, `${UPDATES_PER_S} updates a second`);
  await measured(page, `${UPDATES_PER_S} updates a second, scrolling through all`, async () => {
    const end = performance.now() + SECONDS * 1000;
    while (performance.now() < end) {
      await page.mouse.move(640, 500);
      await page.mouse.wheel(0, 600);
      await pause(50);
    }
  });
  console.log(`${await stop()} updates were posted`);
} finally {
  await browser.close();
  stack.stdin.end();
}
