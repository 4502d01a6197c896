// Signing in through Supabase Auth, with supabase-js and a page that are real.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";

import { checkpoint, eventually, given, newTenant } from "../page/stage.mjs";
import { AuthServer } from "./auth_server.mjs";
import { onPage as onAnyPage, violations } from "./pages.mjs";

const shows = (locator, wanted) => eventually(async () => assert.match(await locator.innerText(), wanted));
const paths = (auth) => auth.asked.map(([, path]) => path);

/** The page as it is deployed: its Supabase project is elsewhere, and its policy names that. */
async function deployed(auth, more) {
  const config = { supabase_url: auth.url, publishable_key: given.publishable_key, api_url: "", ...more };
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://page").pathname;
    const file = new URL(`../../public/${path === "/" ? "index.html" : path.slice(1)}`, import.meta.url);
    if (path !== "/config.json" && !existsSync(file)) return response.writeHead(404).end();
    const body = path === "/config.json" ? JSON.stringify(config) : readFileSync(file, "utf8").replace("https://*.supabase.co wss://*.supabase.co", `${auth.url} ${auth.url.replace("http", "ws")}`);
    const types = { js: "text/javascript", css: "text/css", svg: "image/svg+xml", json: "application/json" };
    response.writeHead(200, { "content-type": types[path.split(".").at(-1)] ?? "text/html; charset=utf-8" }).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => (server.closeAllConnections(), server.close()) };
}

/** A test on the deployed page at `url`. */
function onPage(name, act, { config = {}, ...options } = {}) {
  onAnyPage(name, async (page) => {
    const tenant = newTenant();
    await checkpoint(tenant, { job: "import", items_total: 10, items_completed: 1 });
    const auth = await new AuthServer(given).listen();
    auth.userId = tenant.user_id;
    const rest = [];
    page.on("request", (request) => request.url().includes("/rest/v1/") && rest.push(request.headers().authorization));
    const site = await deployed(auth, config);
    try {
      await act(page, site.url, auth, tenant, rest);
    } finally {
      await page.close();
      site.close();
      auth.close();
    }
  }, { clock: false, ...options });
}

const isIn = (page) => page.locator("li.job", { hasText: "import" }).waitFor();
const isOut = (page) => page.getByRole("heading", { name: "Sign in to Milepost" }).waitFor();
const outcome = (page, wanted) => shows(page.locator(".outcome"), wanted);

async function withPassword(page, password = "correct horse") {
  await page.getByLabel("Email", { exact: true }).fill("ada@example.org");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Continue", exact: true }).click();
}

onPage("nothing is shown or asked before somebody is signed in", async (page, url, auth, tenant, rest) => {
  await page.goto(`${url}/#/?state=running`);
  await isOut(page);
  assert.equal(await page.locator("body > header").isVisible(), false);
  assert.deepEqual(rest, []);
  assert.deepEqual(paths(auth), []);
});

onPage("a password lets in, stays through a reload, and signing out forgets it", async (page, url, auth) => {
  await page.goto(url);
  await withPassword(page);
  await isIn(page);
  await page.reload();
  await isIn(page);
  await page.getByRole("button", { name: "Sign out" }).click();
  await isOut(page);
  assert.equal(await page.locator(".outcome").innerText(), "");
  await eventually(() => assert.ok(paths(auth).includes("logout")));
  await page.reload();
  await isOut(page);
});

onPage("a link by email lets in, where one was going", async (page, url, auth, tenant) => {
  const [{ job_id: id }] = await checkpoint(tenant, { job: "import", items_completed: 4 });
  await page.goto(`${url}/#/jobs/${id}`);
  await isOut(page);
  await page.getByLabel("Email", { exact: true }).fill("ada@example.org");
  await page.getByRole("button", { name: "Continue", exact: true }).click();
  await outcome(page, /A link is on its way to ada@example\.org, if that address may sign in here/);
  const [, , asked, query] = auth.asked.find(([, path]) => path === "otp");
  assert.equal(asked.create_user, false);
  assert.equal(query.get("redirect_to"), `${url}/`);
  await page.goto("about:blank");
  await page.goto(`${url}/#${auth.fragment(tenant.user_id)}`);
  await shows(page.locator("main"), /import[^]*40\.0%/);
  assert.ok(!page.url().includes("token"));
  assert.match(page.url(), new RegExp(`#/jobs/${id}$`));
});

onPage("who has no account is told what everybody is told", async (page, url, auth) => {
  await page.goto(url);
  auth.failing = [422, { code: "otp_disabled", error_code: "otp_disabled", msg: "Signups not allowed for otp" }];
  await page.getByLabel("Email", { exact: true }).fill("eve@example.org");
  await page.getByRole("button", { name: "Continue", exact: true }).click();
  await outcome(page, /A link is on its way to eve@example\.org, if that address may sign in here/);
}, { allow: /422/ });

onPage("the providers that the configuration names let in too", async (page, url, auth) => {
  await page.goto(url);
  await page.getByRole("button", { name: "Continue with GitHub" }).waitFor();
  await page.getByRole("button", { name: "Continue with Google" }).click();
  await isIn(page);
  const [, , , query] = auth.asked.find(([, path]) => path === "authorize");
  assert.equal(query.get("provider"), "google");
  assert.ok(!page.url().includes("token"));
}, { config: { auth_providers: ["google", "github"] } });

onPage("who cancels at the provider is told so and may try again", async (page, url, auth) => {
  await page.goto(url);
  auth.failing = [];
  await page.getByRole("button", { name: "Continue with Google" }).click();
  await outcome(page, /You were not signed in: it was canceled/);
  assert.equal(page.url(), `${url}/`);
  await page.getByRole("button", { name: "Continue with Google" }).click();
  await isIn(page);
}, { config: { auth_providers: ["google"] } });

onPage("a link that is used up says so", async (page, url) => {
  await page.goto(`${url}/#error=access_denied&error_code=otp_expired&error_description=Email+link+is+invalid+or+has+expired`);
  await outcome(page, /That link has expired or was used already\. Ask for a new one\./);
  assert.equal(page.url(), `${url}/`);
});

onPage("what goes wrong is said in plain words", async (page, url, auth) => {
  await page.goto(url);
  await withPassword(page, "wrong");
  await outcome(page, /^The email or the password is not right\.$/);
  for (const [status, code, wanted] of [
    [400, "email_not_confirmed", /not confirmed yet/],
    [429, "over_request_rate_limit", /Too many tries/],
    [403, "user_banned", /This account is closed/],
    [400, "something_new", /That did not work: <b>new<\/b>\./],
  ]) {
    auth.failing = [status, { code, error_code: code, msg: "<b>new</b>" }];
    await withPassword(page);
    await outcome(page, wanted);
  }
  auth.close();
  await withPassword(page);
  await outcome(page, /cannot be reached/);
}, { allow: /40[03]|429|ERR_/ });

onPage("a token that is about to end is renewed before it is used", async (page, url, auth, tenant, rest) => {
  await page.goto(url);
  auth.expiresInS = 60; // within supabase-js's margin
  await withPassword(page);
  await isIn(page);
  assert.ok(auth.asked.some(([, path, body]) => path === "token" && body.refresh_token));
  const lives = rest.filter((token) => token?.includes(".")).map((token) => {
    const { exp, iat } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
    return exp - iat;
  });
  assert.deepEqual([...new Set(lives)], [3600]);
});

onPage("a sign-in that the server ended is said, and nothing stays on the page", async (page, url, auth) => {
  await page.goto(url);
  await withPassword(page);
  await isIn(page);
  auth.refresh.clear();
  // Its token is over while the page sleeps.
  await page.evaluate(() => {
    const key = Object.keys(localStorage).find((name) => name.endsWith("-auth-token"));
    const session = JSON.parse(localStorage.getItem(key));
    localStorage.setItem(key, JSON.stringify({ ...session, expires_at: 1, expires_in: 0 }));
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await outcome(page, /Your sign-in has ended\. Sign in again\./);
  assert.equal(await page.locator("li.job").count(), 0);
}, { allow: /400|401/ });

onPage("axe finds nothing to object to", async (page, url) => {
  await page.goto(url);
  await isOut(page);
  await page.getByRole("button", { name: "Continue with Google" }).waitFor();
  assert.deepEqual(await violations(page), []);
}, { config: { auth_providers: ["google", "azure"] } });
