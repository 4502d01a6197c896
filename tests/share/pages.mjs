// What the tests of the embed and of shared.html stand on: links that an operator made, and a page of another origin.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { given, launch } from "../page/stage.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** Asks the API as an operator. */
export async function asOperator(tenant, path, body) {
  const answer = await fetch(given.url + path, {
    method: "POST", headers: { authorization: `Bearer ${tenant.operator_key}`, "content-type": "application/json" }, body: JSON.stringify(body ?? {}),
  });
  const said = await answer.json();
  assert.ok(answer.ok, JSON.stringify(said));
  return said;
}

/** {token, share_id} of a new share link. */
export const share = (tenant, job, body) => asOperator(tenant, `/v1/jobs/${encodeURIComponent(job)}/shares`, body);

/** A test with a page of its own, whose time stands still but for what the test lets pass. */
export function onPage(name, act, { allow = /^$/, clock = true, ...options } = {}) {
  test(name, async () => {
    const context = await browser.newContext({ locale: "en-US", ...options });
    context.setDefaultTimeout(30_000);
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.stack));
    if (clock) await page.clock.install();
    try {
      await act(page, complaints).catch((error) => {
        error.message += `\nThe browser said: ${complaints.join("\n") || "nothing"}`;
        throw error;
      });
      assert.deepEqual(complaints.filter((complaint) => !allow.test(complaint)), []);
    } finally {
      await context.close();
    }
  });
}

/** A site that is not ours: serves `files` (path -> text) under the policy until `close`. */
export async function site(files, policy) {
  const server = createServer((request, response) => {
    const body = files[request.url];
    response.writeHead(body === undefined ? 404 : 200, {
      "content-type": request.url.endsWith(".js") ? "text/javascript" : "text/html; charset=utf-8", "content-security-policy": policy,
    });
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

export const violations = async (page) => {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => window.axe.run());
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => html.slice(0, 160) + failureSummary).join(" | ")}`);
};
