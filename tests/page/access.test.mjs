// The page's keys and members in Chromium: what an admin makes, revokes and changes, and what others are told instead.

import assert from "node:assert/strict";

import { heading, onPage, open, shows, tooWide, violations } from "./browser.mjs";
import { checkpoint, eventually, given, newTenant, userOf } from "./stage.mjs";

const onAccess = async (page, token) => {
  await open(page, token, "/access");
  await heading(page, "Access").waitFor();
  await page.locator('.access[aria-busy="false"], .access:not([aria-busy])').waitFor();
};
const held = (page) => page.locator("[aria-labelledby=keys] > li");
const people = (page) => page.locator("[aria-labelledby=members] > li");
const focused = (page) => page.evaluate(() => document.activeElement.textContent);
const report = (key) => fetch(`${given.url}/v1/checkpoints`, {
  method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: JSON.stringify({ job: "a", kind: "csv" }),
});

async function make(page, name, { kinds = "", life = "90 days" } = {}) {
  await page.getByRole("button", { name: "New key…" }).click();
  const dialog = page.getByRole("dialog", { name: "New key" });
  await dialog.getByLabel("What it is for").fill(name);
  await dialog.getByLabel("For these kinds").fill(kinds);
  await dialog.getByLabel("How long it holds").selectOption(life);
  await dialog.getByRole("button", { name: "Make the key" }).click();
  return dialog;
}

onPage("an admin makes a key, which is shown once, opens what it says, and is refused as soon as it is revoked", async (page, context) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const tenant = newTenant();
  await onAccess(page, tenant.owner);
  assert.equal(await page.title(), "Access · Milepost");
  const before = await held(page).count();
  const dialog = await make(page, "importer", { kinds: "csv, xml" });
  const key = await dialog.getByLabel("Key").inputValue();
  assert.match(key, /^mp_[0-9a-f]{64}$/);
  await shows(dialog, /shown this once/);
  await dialog.getByRole("button", { name: "Copy" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
  await page.keyboard.press("Escape"); // would lose it
  await dialog.getByRole("button", { name: "I have copied it" }).click();
  await eventually(async () => assert.equal(await page.locator("dialog").count(), 0));
  assert.equal(await focused(page), "New key…");

  const row = held(page).filter({ hasText: "importer" });
  await shows(row, new RegExp(`importer\\s+${key.slice(0, 11)}…\\s+worker\\s+only csv, xml\\s+Never used\\s+Expires [^]*Made [^]*by you`));
  assert.ok(!(await page.content()).includes(key), "the key is nowhere on the page any more");
  assert.equal((await report(key)).status, 200);
  await page.reload();
  await page.locator(".access").waitFor();
  await shows(held(page).filter({ hasText: "importer" }), /Used /);

  await page.getByRole("button", { name: "Revoke importer…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Keep it" }).click();
  assert.equal((await report(key)).status, 200);
  await page.getByRole("button", { name: "Revoke importer…" }).click();
  await shows(page.getByRole("dialog"), /refused from their next request on/);
  await page.getByRole("dialog").getByRole("button", { name: "Revoke the key" }).click();
  await eventually(async () => assert.equal(await held(page).count(), before));
  assert.equal(await focused(page), "Keys");
  assert.equal((await report(key)).status, 401);
  await page.getByText("Revoked and expired (1)").click();
  await shows(page.getByRole("list", { name: "Keys that open nothing" }), /importer[^]*Revoked /);
});

onPage("what the database refuses of a key is said in the dialog, which stays", async (page) => {
  const tenant = newTenant();
  await onAccess(page, tenant.owner);
  const dialog = await make(page, "a", { kinds: "x".repeat(201) });
  await shows(dialog.getByRole("alert"), /kinds: expected at most 200 characters/);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await focused(page), "New key…");
}, { allow: /422/ });

onPage("an admin adds, promotes and removes a member, and the only admin stays", async (page) => {
  const tenant = newTenant();
  await onAccess(page, tenant.owner);
  const [mate, stranger] = [userOf(tenant.teammate), userOf(tenant.stranger)];
  await shows(people(page).filter({ hasText: "You" }), /Admin/);

  await page.getByLabel("User id").fill(stranger);
  await page.getByRole("button", { name: "Add member" }).click();
  await page.getByLabel(`Role of ${stranger}`).waitFor();
  await page.getByLabel(`Role of ${mate}`).selectOption("operator");
  await eventually(async () => assert.equal(await page.getByLabel(`Role of ${mate}`).inputValue(), "operator"));
  await page.getByRole("button", { name: `Remove ${stranger}…` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove the member" }).click();
  await eventually(async () => assert.equal(await people(page).filter({ hasText: stranger }).count(), 0));
  assert.equal(await focused(page), "Members");

  // There is another admin beside the owner: `both`. Without them the owner has no way out.
  const other = userOf(tenant.both);
  await page.getByLabel(`Role of ${other}`).selectOption("viewer");
  await shows(people(page).filter({ hasText: "You" }), /The only admin stays/);
  await page.getByLabel(`Role of ${other}`).selectOption("admin");
  await page.getByLabel("Role of you").selectOption("viewer");
  await page.getByRole("dialog").getByRole("button", { name: "Stay admin" }).click();
  await eventually(async () => assert.equal(await page.getByLabel("Role of you").inputValue(), "admin"));
  await page.getByLabel("Role of you").selectOption("viewer");
  await page.getByRole("dialog").getByRole("button", { name: "Become a viewer" }).click();
  await shows(page.locator(".access"), /Keys are for admins/);
  assert.equal(await page.getByRole("button", { name: "New key…" }).count(), 0);
});

onPage("who is no admin sees the members, and why not the keys", async (page) => {
  const tenant = newTenant();
  await onAccess(page, tenant.teammate);
  await shows(page.locator(".access"), /Keys are for admins to see and to make, and you are a viewer here/);
  assert.equal(await held(page).count(), 0);
  assert.equal(await page.locator(".access :is(button, select, form):visible").count(), 0);
  await shows(people(page).filter({ hasText: "You" }), /Viewer/);
});

onPage("a key's name is text, whatever it says, and the keyboard finds the page", async (page) => {
  const tenant = newTenant();
  await open(page, tenant.owner);
  await page.keyboard.press("g");
  await page.keyboard.press("a");
  await heading(page, "Access").waitFor();
  const mischief = `<img src=x onerror=alert(1)> "quoted" 'and' javascript:alert(2)`;
  const dialog = await make(page, mischief, { kinds: "<b>bold</b>" });
  await dialog.getByRole("button", { name: "I have copied it" }).click();
  await shows(held(page).filter({ hasText: "<img src=x onerror=alert(1)>" }), /only <b>bold<\/b>/);
  assert.equal(await page.locator(".access img, .access b").count(), 0);
});

onPage("on a small phone the header holds the tenants too", async (page) => {
  await onAccess(page, newTenant().both);
  await page.getByLabel("Tenant", { exact: true }).waitFor();
  assert.deepEqual(await tooWide(page), []);
}, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });

for (const [device, options] of Object.entries({ "a desktop": {}, "a phone": { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true } })) {
  onPage(`on ${device} axe finds nothing to object to in both themes, and nothing is too wide`, async (page) => {
    const tenant = newTenant();
    await checkpoint(tenant, { job: "a" });
    await onAccess(page, tenant.owner);
    for (const name of ["nightly import on a machine with a rather long name", "short"]) {
      const dialog = await make(page, name, { kinds: "csv_import, transcription_of_podcasts", life: name === "short" ? "No end" : "30 days" });
      await dialog.getByLabel("Key").waitFor();
      if (name === "short") assert.deepEqual(await violations(page), []);
      assert.deepEqual(await tooWide(page), []);
      await dialog.getByRole("button", { name: "I have copied it" }).click();
    }
    await page.getByRole("button", { name: "Revoke short…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke the key" }).click();
    await page.getByText("Revoked and expired").click();
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      assert.deepEqual(await violations(page), []);
    }
    assert.deepEqual(await tooWide(page), []);
    await page.getByRole("button", { name: "New key…" }).click();
    assert.deepEqual(await violations(page), []);
  }, options);
}
