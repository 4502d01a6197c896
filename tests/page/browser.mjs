// What the tests in Chromium share: a page of its own for each, and what a person sees on it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { eventually, given, launch, misbehave } from "./stage.mjs";

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
export function onPage(name, act, { allow = /^$/, ...options } = {}) {
  test(name, async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-US", ...options });
    context.setDefaultTimeout(30_000);
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.stack));
    try {
      await act(page, context);
      assert.deepEqual(complaints.filter((complaint) => !allow.test(complaint)), []);
    } catch (error) {
      // What went wrong on the page comes first: it is often why the test failed.
      throw complaints.length ? new Error(`the browser complained: ${complaints.join("\n")}`, { cause: error }) : error;
    } finally {
      await context.close();
    }
  });
}

export async function open(page, token, address = "") {
  await page.goto(`${given.url}/#access_token=${token}`);
  await page.locator("body > header:not([hidden])").waitFor();
  if (address) await page.evaluate((to) => (location.hash = to), address);
}

export const live = (page) => page.locator('.connection[data-state="live"]').waitFor();
export const row = (page, name) => page.locator("li.job", { hasText: name });
export const heading = (page, name) => page.getByRole("heading", { level: 1, name });
export const shows = (locator, wanted) => eventually(async () => {
  assert.ok(await locator.isVisible());
  assert.match(await locator.innerText(), wanted);
});
export const violations = async (page) => {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => window.axe.run());
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => html.slice(0, 160) + failureSummary).join(" | ")}`);
};
/** What reaches beyond the right edge, save in a box that scrolls by itself. */
export const tooWide = (page) => page.evaluate((width) =>
  [...document.querySelectorAll("body *:not(.bar *, .spoken, .scrolls *, .job .sub, .job a)")]
    .filter((element) => element.getBoundingClientRect().right > width + 0.5)
    .concat(document.scrollingElement.scrollWidth > width ? [document.body] : [])
    .map(({ outerHTML }) => outerHTML.slice(0, 120)), page.viewportSize().width);
