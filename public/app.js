// The page: who is looking, at what, and how well it is connected.

import { attribute, el, text } from "./dom.js";
import { jobView } from "./job.js";
import { listView } from "./list.js";
import { startSession } from "./session.js";
import { signInView } from "./signin.js";
import * as words from "./words.js";

const main = document.querySelector("main");
const header = document.querySelector("body > header");
const tenants = header.querySelector("select");
const connection = header.querySelector(".connection");
const notice = document.querySelector(".notice");
const aloud = document.querySelector("[role=status].spoken");
const SIGNED_OUT = new Set(["PGRST301", "PGRST303"]); // the token is not valid, or not any more

let session = null; // {client, auth, userId, signOut, tenantId, role}
let list = null;
let view = null; // what is shown: the list or a job
let scrolled = 0; // where the list was left
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
  header.querySelector("button").addEventListener("click", () => session.signOut?.());
  if (who !== undefined) enter();

  async function enter(why) {
    leave();
    Object.assign(session, { userId: who?.userId, signOut: who?.signOut, tenantId: null, role: null });
    if (!who) return showSignIn(why);
    const { data, error } = await client.schema("milepost").from("tenants").select("tenant_id, name").order("name");
    if (error) {
      if (isSignedOut(error)) return showSignIn("Your sign-in has ended. Sign in again.");
      stop("Milepost cannot be reached.", `${error.message} It is tried again in a moment.`);
      setTimeout(enter, 3000);
      return;
    }
    if (data.length === 0) {
      header.hidden = false;
      return stop("You belong to no tenant.", `Ask an admin to add you: milepost members add --user ${who.userId} --tenant … --role viewer`);
    }
    tenants.replaceChildren(...data.map(({ tenant_id, name }) => el("option", { value: tenant_id }, name)));
    tenants.hidden = data.length === 1;
    text(header.querySelector(".tenant"), data.length === 1 ? data[0].name : "");
    header.hidden = false;
    await chooseTenant(data[0].tenant_id);
  }
}

async function chooseTenant(tenantId) {
  leave();
  const { data } = await session.client.schema("milepost").from("members").select("role").eq("tenant_id", tenantId).eq("user_id", session.userId).maybeSingle();
  // Without an answer one may look; the database refuses what is not allowed in any case.
  Object.assign(session, { tenantId, role: data?.role ?? null });
  route();
}

tenants.addEventListener("change", () => {
  history.replaceState(null, "", "#/");
  chooseTenant(tenants.value);
});

function leave() {
  if (view !== list) view?.close();
  list?.close();
  list = view = null;
  main.replaceChildren();
}

function showSignIn(why) {
  leave();
  header.hidden = true;
  notice.hidden = true;
  document.title = "Milepost";
  const signIn = signInView(session.auth, why);
  main.replaceChildren(signIn.node);
  signIn.focus();
}

function stop(said, hint) {
  main.replaceChildren(el("div", { class: "empty" }, el("p", { class: "said" }, said), el("p", {}, hint)));
}

/** Shows what the address says: #/?state=running, #/jobs/<id>, #/history. */
function route() {
  if (!session?.tenantId) return;
  const [path, given] = location.hash.replace(/^#/, "").split("?");
  const jobId = path.match(/^\/jobs\/([0-9a-f-]{36})$/i)?.[1];
  if (path === "/history") {
    showHistory(Object.fromEntries(new URLSearchParams(given)));
  } else if (jobId) {
    if (view?.jobId === jobId) return;
    if (view === list && list) scrolled = scrollY;
    list?.hide();
    if (view !== list) view?.close();
    view = { ...jobView(session, shell, jobId), jobId };
    main.append(view.node);
    scrollTo(0, 0);
    view.focus();
  } else {
    const from = view;
    if (from !== list) from?.close();
    if (!list) {
      list = listView(session, shell);
      main.replaceChildren(list.node);
    }
    view = list;
    list.show(Object.fromEntries(new URLSearchParams(given)));
    if (from && from !== list) {
      scrollTo(0, scrolled);
      list.focus(from.jobId);
    }
  }
}

async function showHistory(parameters) {
  if (!view?.isHistory) {
    const { historyView } = await import("./history.js");
    if (!location.hash.startsWith("#/history") || !session?.tenantId) return;
    list?.hide();
    if (view !== list) view?.close();
    view = { ...historyView(session, shell), isHistory: true };
    main.append(view.node);
    view.focus();
  }
  view.show(parameters);
}

const shell = {
  apiUrl: "",
  go(address, { replace } = {}) {
    if (replace) history.replaceState(null, "", address);
    else location.hash = address;
    route();
  },
  title(said) {
    if (document.title !== said) document.title = said;
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
  showSignIn("Your sign-in has ended. Sign in again.");
  session.tenantId = null;
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
  const [label, words_] = CONNECTIONS[state];
  const before = connection.dataset.state;
  attribute(connection, "data-state", state);
  attribute(connection, "title", status.reason && state === "polling" ? `${words_} (${status.reason})` : words_);
  text(connection.querySelector("span"), label);
  const isTrouble = state === "offline" || state === "unreachable" || state === "polling";
  notice.hidden = !isTrouble;
  text(notice, isTrouble ? words_ + (status.readAt && state !== "polling" ? ` As of ${words.clockTime(status.readAt)}.` : "") : "");
  if (before && before !== state && (isTrouble || (before !== "connecting" && state === "live"))) shell.say(words_);
}

addEventListener("hashchange", route);
addEventListener("online", () => {
  showStatus();
  view?.refresh();
});
addEventListener("offline", showStatus);
document.addEventListener("visibilitychange", () => {
  // Timers sleep in the background; what was missed is read at once.
  if (!document.hidden) view?.refresh();
});
addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, dialog");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey && view && view === list) {
    event.preventDefault();
    list.focusSearch();
  }
});
setInterval(() => view?.tick?.(Date.now()), 1000);

begin();
