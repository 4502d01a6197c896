// Getting in, staying connected and being fit for everybody: the page in Chromium, on data from the local stack.

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";

import { heading, live, onPage, open, row, shows, tooWide, violations } from "./browser.mjs";
import { checkpoint, create, eventually, given, misbehave, newTenant } from "./stage.mjs";

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
  assert.doesNotMatch(said[0], /Share|Pause|Cancel/);
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

onPage("where no websocket gets through, the functions' events keep it live", async (page) => {
  const tenant = newTenant();
  await page.routeWebSocket(/realtime/, (socket) => socket.close());
  await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
  await open(page, tenant.owner);
  await live(page);
  await checkpoint(tenant, { job: "import", items_completed: 6 });
  await shows(row(page, "import"), /60\.0%/);
  assert.equal(await page.locator(".notice").isVisible(), false);
}, { allow: /WebSocket/ });

onPage("without any stream it polls and says so, and climbs back", async (page) => {
  const tenant = newTenant();
  const sockets = new Set();
  let isDown = false;
  await page.route("**/v1/events**", (route) => route.abort());
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
}, { allow: /WebSocket|ERR_FAILED/ });

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
  await eventually(async () => {
    const seen = await page.evaluate(() => window.seen);
    assert.notEqual(seen[0], "live");
    assert.equal(seen.at(-1), "live");
  });
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
  const { job_id: id } = await create(tenant, { job: evil, name: evil, kind: evil, unit: evil, items_total: 10, retry_backoff_ms: 1, metadata: { [evil]: evil }, stages: [{ name: evil }] });
  await checkpoint(tenant, { job: id, worker: evil, items_completed: 1, message: evil, stage: { name: evil, state: "running" }, cursor: { [evil]: evil }, items: [{ key: evil, state: "failed", error: evil, payload: { [evil]: evil } }] });
  await checkpoint(tenant, { job: id, worker: evil, items_completed: 3 });
  await open(page, tenant.owner);
  await shows(row(page, "onerror"), /<script>[^]*<b>bold<\/b>/);
  await page.getByLabel("By kind").check();
  await shows(page.locator(".group"), /<b>bold<\/b>/);
  await page.locator("li.job a").click();
  await heading(page, /onerror/).waitFor();
  await page.locator(".items .key").click();
  await page.getByText("As a table").click();
  await shows(page.locator(".course table").first(), /Done over time/);
  await page.getByLabel("progress and items too").check();
  await shows(page.locator(".events"), /Item failed/);
  await page.getByRole("button", { name: "Priority", exact: true }).click();
  await shows(page.getByRole("dialog"), /<b>bold/);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await shows(page.getByRole("dialog"), /<b>bold/);
  await page.keyboard.press("Escape");
  await checkpoint(tenant, { job: id, worker: evil, state: "failed", reason: evil });
  await shows(page.locator(".attempts"), /<b>bold/);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll("img, b, main script")].map(({ outerHTML }) => outerHTML)), []);
});

onPage("the page permits nothing but its own scripts and styles", async (page) => {
  const tenant = newTenant();
  await open(page, tenant.owner);
  const policy = await page.locator('meta[http-equiv="Content-Security-Policy"]').getAttribute("content");
  for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"]) assert.ok(policy.includes(`${rule};`) || policy.endsWith(rule), rule);
  assert.doesNotMatch(policy, /unsafe/);
  const refused = await page.evaluate(async () => {
    const violations = [];
    addEventListener("securitypolicyviolation", ({ effectiveDirective }) => violations.push(effectiveDirective));
    const style = document.createElement("style");
    style.textContent = "body { color: red }";
    document.head.append(style);
    try {
      document.body.innerHTML += "<b>";
    } catch (error) {
      violations.push(error.name);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    return violations.sort();
  });
  assert.deepEqual(refused, ["TypeError", "require-trusted-types-for", "style-src-elem"]);
}, { allow: /Content Security Policy|TrustedHTML/ });

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
    await page.getByLabel("By kind").check();
    await page.locator(".group").first().waitFor();
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
  await checkpoint(tenant, { job: id, worker: long, items_completed: 1_300_000 });
  await open(page, tenant.owner);
  await row(page, long).waitFor();
  assert.deepEqual(await tooWide(page), []);
  await page.locator("li.job a").click();
  await page.locator(".items .key").click();
  await page.getByText("As a table").click();
  await page.locator(".course canvas").first().waitFor();
  assert.deepEqual(await tooWide(page), []);
}, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });

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
