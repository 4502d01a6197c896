// Takes the pictures in docs/screenshots of the page on a local stack of its own, with jobs that workers move meanwhile.
// Usage: node scripts/screenshots.mjs   (needs `make setup` and Chromium, at $CHROMIUM or /usr/bin/chromium)
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("../", import.meta.url));
const pictures = `${root}docs/screenshots`;
const WORK_S = 45;

const stack = spawn(`${root}.venv/bin/python`, ["-m", "milepost.local.dev", "--json", "--until-stdin-ends"], { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
const [line] = await once(createInterface({ input: stack.stdout }), "line");
const access = JSON.parse(line);

async function post(path, body, key = access.worker_key) {
  const answer = await fetch(access.api_url + path, {
    method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
}

const checkpoint = (...entries) => post("/v1/checkpoints", entries);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Jobs in every state that a person meets, and workers that go on until told. */
async function work(until) {
  await post("/v1/jobs", { job: "thumbnails-2026-11", name: "Thumbnails for November", kind: "media", unit: "files", items_total: 18400, start: false });
  await post("/v1/jobs", { job: "reindex-eu", name: "Reindex search, EU", kind: "reindex", unit: "docs", items_total: 640_000, stall_after_ms: 12_000 });
  await post("/v1/jobs", { job: "invoices-2026-10", name: "Invoices for October", kind: "billing", unit: "invoices", items_total: 3120, max_attempts: 1 });
  await post("/v1/jobs", { job: "nightly-import", name: "Nightly import", kind: "csv_import", unit: "rows", items_total: 900_000,
    metadata: { owner: "etl", source: "s3://warehouse/2026-11-22" }, stages: [{ name: "extract", weight: 1 }, { name: "load", weight: 4 }, { name: "verify", weight: 2 }] });
  const began = Date.now();
  let n = 0;
  const ended = new Set();
  const endsAt = (key, seconds, entry) => (s) => {
    if (ended.has(key)) return [];
    const share = Math.min(1, s / seconds);
    if (share === 1) ended.add(key);
    return [entry(share, share === 1 ? "completed" : undefined)];
  };
  const shards = [6, 9, 12, 15, 18, 400, 460].map((seconds, k) => endsAt(`shard-${k}`, seconds, (share, state) => (
    { job: `embeddings-${k + 1}`, name: `Embeddings, shard ${k + 1}`, kind: "embeddings", unit: "docs", items_total: 48_000, items_completed: Math.floor(share * (48_000 - 30 * k)), items_failed: Math.floor(share * 30 * k), state, bytes_processed: Math.floor(share * 2.1e9) })));
  while (Date.now() < until()) {
    n += 1;
    const s = (Date.now() - began) / 1000;
    const rows = Math.floor(s * 8200 + 3000 * Math.sin(n));
    const failed = n % 9 === 4;
    await checkpoint(
      ...[[0.46, "etl-1"], [0.37, "etl-2"], [0.17, "etl-3"]].map(([share, worker], k) => ({
        job: "nightly-import", worker, items_completed: Math.floor(rows * share), bytes_processed: Math.floor(rows * share * 94),
        ...(k === 0 ? { message: `chunk ${n} of 480`, cursor: { file: "part-0007.csv", offset: rows } } : {}),
        stage: s < 6
          ? { name: "extract", items_total: 48, items_completed: Math.floor(s * 2.6) }
          : [{ name: "extract", items_total: 48, items_completed: 16, state: "completed" }, { name: "load", items_total: 900_000, items_completed: Math.floor(rows * share * 0.9), state: "running" }],
        ...(k === 0 && n % 3 === 0 ? { items: [{ key: `part-${String(n / 3).padStart(4, "0")}.csv`, stage: "load", state: failed ? "failed" : "completed", duration_ms: 640 + 37 * (n % 11), payload: { rows: 41_250, host: "etl-1" }, error: failed ? "row 812: expected 14 columns, found 13" : null }] } : {}),
      })),
      ...shards.flatMap((shard) => shard(s)),
      { job: "crawl-docs", name: "Crawl docs.example.org", kind: "crawl", unit: "pages", items_completed: Math.floor(s * 6.3), message: `/guide/page-${n}` },
      ...(s < 8 ? [{ job: "reindex-eu", items_completed: Math.floor(s * 9000), message: "segment 11" }] : []),
      ...(s < 10 ? [{ job: "transcode-archive", name: "Transcode archive", kind: "media", unit: "videos", items_total: 1200, items_completed: Math.floor(s * 31) }] : []),
      ...(s < 5 ? [{ job: "invoices-2026-10", items_completed: Math.floor(s * 210) }] : []),
    );
    if (s > 5 && !ended.has("invoices")) {
      ended.add("invoices");
      await checkpoint({ job: "invoices-2026-10", state: "failed", reason: "Payment service answered 503 five times in a row" });
    }
    if (s > 10 && !ended.has("pause")) {
      ended.add("pause");
      await post("/v1/jobs/transcode-archive/pause", { reason: "GPU maintenance" }, access.operator_key);
      await checkpoint({ job: "transcode-archive", state: "paused" });
    }
    await pause(350);
  }
}

const views = [
  { name: "list", width: 1280, height: 900 },
  { name: "job", width: 1280, height: 1180, job: "Nightly import" },
  { name: "grouped", width: 1280, height: 900, address: "#/?group=kind&sort=attention" },
  { name: "dark", width: 1280, height: 900, colorScheme: "dark" },
  { name: "dark-job", width: 1280, height: 1180, colorScheme: "dark", job: "Nightly import" },
  { name: "phone", width: 390, height: 844, isMobile: true },
  { name: "phone-job", width: 390, height: 844, isMobile: true, job: "Nightly import" },
  { name: "retrying", width: 1280, height: 640, job: "Reindex search, EU" },
  { name: "history", width: 1280, height: 1400, address: "#/history", tenant: "Demo" },
];

// The week of supabase/seed.sql, for the user of the local stack too.
const SEED = `
import pathlib, psycopg
with psycopg.connect("${access.database_url}") as database:
    database.execute(pathlib.Path("supabase/seed.sql").read_bytes())
    database.execute("insert into milepost.members (tenant_id, user_id, role) select t.tenant_id, m.user_id, 'viewer' "
                     "from milepost.tenants t, milepost.members m where t.name = 'Demo' and m.tenant_id = %s", ("${access.tenant_id}",))
`;

let end = Infinity;
const working = work(() => end);
working.catch(() => {}); // awaited below
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  await mkdir(pictures, { recursive: true });
  await Promise.race([working, pause(WORK_S * 1000)]);
  for (const { name, width, height, job, address, tenant, ...looks } of views) {
    if (tenant) execFileSync(`${root}.venv/bin/python`, ["-c", SEED], { cwd: root });
    const page = await browser.newPage({ viewport: { width, height }, deviceScaleFactor: looks.isMobile ? 2 : 1, locale: "en-GB", ...looks });
    await page.goto(access.dashboard_url);
    await page.locator("li.job").first().waitFor();
    if (tenant) await page.locator("body > header select").selectOption({ label: tenant });
    if (address) await page.evaluate((to) => (location.hash = to), address);
    if (job) await page.getByRole("link", { name: job }).click();
    await page.locator('.connection[data-state="live"]').waitFor();
    await pause(tenant ? 4000 : 1500);
    await page.screenshot({ path: `${pictures}/${name}.png` });
    await page.close();
  }
} finally {
  end = 0;
  await browser.close();
  await working;
  stack.stdin.end();
}
