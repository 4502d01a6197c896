// The page: who is looking, at what, and how well it is connected.

import { attribute, el, text } from "./dom.js";
import { favicon } from "./icon.js";
import { listenToKeys, showHelp } from "./keys.js";
import { listView } from "./list.js";
import { startSession } from "./session.js";
import { signInView } from "./signin.js";
import * as words from "./words.js";

// Which address is shown by what. A view has `node`, `focus(jobId)` and `close()`, and where they mean something
// `show(parameters)`, `hide()` (it stays, behind what is shown next), `refresh()`, `tick(now)`, `step(by)`, `focusSearch()`.
const ROUTES = [
  { path: /^\/jobs\/([0-9a-f-]{36})$/i, place: "jobs", load: async () => (await import("./job.js")).jobView },
  { path: /^\/history$/, place: "history", load: async () => (await import("./history.js")).historyView },
  { path: /^\/access$/, place: "access", load: async () => (await import("./access.js")).accessView },
  { path: /^/, place: "jobs", load: async () => listView },
];
const SIGNED_OUT = new Set(["PGRST301", "PGRST303"]); // the token is not valid, or not any more
const LAST_TENANT = "milepost.tenant";

const main = document.querySelector("main");
const header = document.querySelector("body > header");
const places = header.querySelectorAll("nav a");
const tenants = header.querySelector("select");
const connection = header.querySelector(".connection");
const notice = document.querySelector(".notice");
const aloud = document.querySelector("[role=status].spoken");

let session = null; // {client, auth, userId, signOut, tenantId, roles}
let view = null; // what is shown
let behind = null; // a view that waits, with what it showed, for somebody to come back
let status = { state: "connecting" };

async function begin() {
  let config;
  try {
    const answer = await fetch("config.json", { cache: "no-cache" });
    if (!answer.ok) throw new Error(`config.json: ${answer.status}`);
    config = await answer.json();
  } catch (error) {
    return stop("The page cannot find out where its data is.", `${error.message}. Reload the page, or ask whoever deployed it.`);
  }
  if (!config.supabase_url || !config.publishable_key) {
    return stop("The page is not set up yet.", "Fill in supabase_url and publishable_key in public/config.json, and deploy it again.");
  }
  shell.apiUrl = config.api_url || location.origin;
  let who = undefined;
  const { client, auth } = startSession(config, (signedIn, why) => {
    who = signedIn;
    if (session) enter(why);
  });
  session = { client, auth };
  if (who !== undefined) enter();

  async function enter(why) {
    leave();
    Object.assign(session, { userId: who?.userId, signOut: who?.signOut, tenantId: null, roles: {} });
    if (!who) return showSignIn(why);
    const { data, error } = await client.schema("milepost").rpc("list_tenants");
    if (error) {
      if (isSignedOut(error)) return endSession();
      stop("Milepost cannot be reached.", `${error.message} It is tried again in a moment.`);
      setTimeout(enter, 3000);
      return;
    }
    header.hidden = false;
    if (data.length === 0) {
      return stop("You belong to no tenant.", `Ask an admin to add you: milepost members add --user ${who.userId} --tenant … --role viewer`);
    }
    session.roles = Object.fromEntries(data.map(({ tenant_id, role }) => [tenant_id, role]));
    tenants.replaceChildren(...data.map(({ tenant_id, name }) => el("option", { value: tenant_id }, name)));
    tenants.hidden = data.length === 1;
    text(header.querySelector(".tenant"), data.length === 1 ? data[0].name : "");
    const last = localStorage.getItem(LAST_TENANT);
    tenants.value = session.roles[last] === undefined ? data[0].tenant_id : last;
    session.tenantId = tenants.value;
    route();
  }
}

tenants.addEventListener("change", () => {
  localStorage.setItem(LAST_TENANT, tenants.value);
  leave();
  session.tenantId = tenants.value;
  history.replaceState(null, "", "#/");
  route();
});
header.querySelector("[data-act=help]").addEventListener("click", showHelp);
header.querySelector("[data-act=sign-out]").addEventListener("click", () => session.signOut?.());

function leave() {
  for (const one of new Set([view, behind?.view])) one?.close();
  view = behind = null;
  main.replaceChildren();
}

function showSignIn(why) {
  leave();
  header.hidden = true;
  notice.hidden = true;
  shell.title("Milepost");
  const signIn = signInView(session.auth, why);
  main.replaceChildren(signIn.node);
  signIn.focus();
}

function stop(said, hint) {
  main.replaceChildren(el("div", { class: "empty" }, el("p", { class: "said" }, said), el("p", {}, hint)));
}

/** Shows what the address says: #/?state=running, #/jobs/<id>, #/history, #/access. */
async function route() {
  if (!session?.tenantId) return;
  const { hash } = location;
  const [path, given] = hash.replace(/^#/, "").split("?");
  const { path: pattern, place, load } = ROUTES.find((one) => one.path.test(path));
  const [, jobId] = path.match(pattern);
  const parameters = Object.fromEntries(new URLSearchParams(given));
  let make;
  try {
    make = await load();
  } catch {
    leave();
    return stop("This view cannot be loaded.", "Check the connection, then reload the page.");
  }
  // Somebody went on, or signed out, while it was loaded.
  if (location.hash !== hash || !session.tenantId) return;
  for (const link of places) attribute(link, "aria-current", link.dataset.place === place && "page");

  const from = view;
  if (!jobId) shell.back = hash || "#/";
  if (from && from.make === make && from.jobId === jobId) return from.show?.(parameters);
  if (from?.hide) {
    behind?.view.close();
    behind = { view: from, scrolled: scrollY };
    from.hide();
  } else from?.close();

  const isBack = behind?.view.make === make && behind.view.jobId === jobId;
  const { scrolled } = behind ?? {};
  view = isBack ? behind.view : Object.assign(make(session, shell, jobId), { make, jobId });
  if (isBack) behind = null;
  else main.append(view.node);
  for (const stray of main.querySelectorAll(":scope > .empty, :scope > noscript")) stray.remove();
  view.show?.(parameters);
  scrollTo(0, isBack ? scrolled : 0);
  if (from || jobId) view.focus(from?.jobId);
}

const shell = {
  apiUrl: "",
  back: "#/", // where a job's page leads back to
  go(address, { replace } = {}) {
    if (replace) history.replaceState(null, "", address);
    else location.hash = address;
    route();
  },
  /** What the tab shows: words, and how far a job is. */
  title(said, job = null) {
    if (document.title !== said) document.title = said;
    favicon(job);
  },
  /** Aloud, for those who do not see it. */
  say(sentence) {
    text(aloud, sentence);
  },
  status(now) {
    status = now;
    showStatus();
  },
  fail(error) {
    if (isSignedOut(error)) session.signOut ? endSession() : showSignIn();
  },
};

function endSession() {
  session.tenantId = null;
  showSignIn("Your sign-in has ended. Sign in again.");
}

function isSignedOut(error) {
  return SIGNED_OUT.has(error.code) || error.status === 401;
}

const CONNECTIONS = {
  connecting: ["Connecting", "Joining the live channel."],
  live: ["Live", "Every change is shown as it happens."],
  polling: ["Every 2 s", "The live channel cannot be reached, so this page asks every 2 seconds."],
  unreachable: ["Not connected", "Milepost cannot be reached. What you see may be old; it is tried again by itself."],
  offline: ["Offline", "This device is offline. What you see may be old; it goes on once the network is back."],
};

function showStatus() {
  const state = navigator.onLine ? status.state : "offline";
  const [label, said] = CONNECTIONS[state];
  const before = connection.dataset.state;
  attribute(connection, "data-state", state);
  attribute(connection, "title", status.reason && state === "polling" ? `${said} (${status.reason})` : said);
  text(connection.querySelector("span"), label);
  const isTrouble = state === "offline" || state === "unreachable" || state === "polling";
  notice.hidden = !isTrouble;
  text(notice, isTrouble ? said + (status.readAt && state !== "polling" ? ` As of ${words.clockTime(status.readAt)}.` : "") : "");
  if (before && before !== state && (isTrouble || (before !== "connecting" && state === "live"))) shell.say(said);
}

addEventListener("hashchange", route);
addEventListener("online", () => {
  showStatus();
  view?.refresh?.();
});
addEventListener("offline", showStatus);
document.addEventListener("visibilitychange", () => {
  // Timers sleep in the background; what was missed is read at once.
  if (!document.hidden) view?.refresh?.();
});
listenToKeys({ view: () => view, go: (address) => shell.go(address), back: () => shell.back });
setInterval(() => view?.tick?.(Date.now()), 1000);

begin();
