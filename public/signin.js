// How to get in. Nothing else is on the page before that.

import { el, text } from "./dom.js";

/** @param {object | null} auth supabase.auth; null on the local stack, where an address is printed instead */
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

  async function enter(event) {
    event.preventDefault();
    submit.disabled = true;
    text(outcome, "");
    const { error } = password.value
      ? await auth.signInWithPassword({ email: email.value, password: password.value })
      : await auth.signInWithOtp({ email: email.value, options: { emailRedirectTo: location.origin + location.pathname, shouldCreateUser: false } });
    submit.disabled = false;
    if (error) text(outcome, `That did not work: ${error.message}.`);
    else if (!password.value) text(outcome, `A link is on its way to ${email.value}. Open it in this browser.`);
  }

  node.append(el("form", { on: { submit: enter } },
    el("label", {}, "Email", email),
    el("label", {}, "Password", password, el("span", { class: "sub" }, "Leave it empty to get a link by email.")),
    submit));
  return { node, focus: () => email.focus() };
}
