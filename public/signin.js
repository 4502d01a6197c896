// How to get in. Nothing else is on the page before that.

import { el, text } from "./dom.js";

const NAMES = { github: "GitHub", gitlab: "GitLab", azure: "Microsoft", linkedin_oidc: "LinkedIn", slack_oidc: "Slack", workos: "WorkOS" };
const nameOf = (provider) => NAMES[provider] ?? provider[0].toUpperCase() + provider.slice(1);

/** @param {import("./session.js").Auth | null} auth null on the local stack, where an address is printed instead */
export function signInView(auth, notice) {
  const heading = el("h1", { tabindex: -1 }, "Sign in to Milepost");
  const outcome = el("p", { role: "status", class: "outcome" }, notice ?? "");
  const node = el("section", { class: "signin" }, heading, outcome);
  if (!auth) {
    node.append(
      el("p", {}, "This is a local stack. Open the dashboard address that it printed when it started: it signs you in for this tab."),
      el("pre", { tabindex: 0, "aria-label": "Command" }, "milepost dev"));
    return { node, focus: () => heading.focus() };
  }

  const email = el("input", { type: "email", name: "email", autocomplete: "username", required: true });
  const password = el("input", { type: "password", name: "password", autocomplete: "current-password" });
  const submit = el("button", { class: "serious" }, "Continue");
  const providers = auth.providers.map((provider) => el("button", { type: "button", on: { click: () => attempt(() => auth.withProvider(provider), "") } }, `Continue with ${nameOf(provider)}`));

  async function attempt(way, done) {
    const buttons = [submit, ...providers];
    for (const button of buttons) button.disabled = true;
    text(outcome, "");
    const problem = await way();
    for (const button of buttons) button.disabled = false;
    text(outcome, problem ?? done);
  }

  function enter(event) {
    event.preventDefault();
    if (password.value) attempt(() => auth.withPassword(email.value, password.value), "");
    else attempt(() => auth.withLink(email.value), `A link is on its way to ${email.value}, if that address may sign in here. Open it in this browser.`);
  }

  node.append(el("form", { on: { submit: enter } },
    el("label", {}, "Email", email),
    el("label", {}, "Password", password, el("span", { class: "sub" }, "Leave it empty to get a link by email.")),
    submit,
    providers));
  return { node, focus: () => email.focus() };
}
