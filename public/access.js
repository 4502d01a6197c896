// Who may do what in a tenant: its keys, which programs hold, and its members, who are people.

import { confirmed } from "./controls.js";
import { attribute, el, text } from "./dom.js";
import { keyDialog } from "./newkey.js";
import * as words from "./words.js";

const ROLES = { viewer: "Viewer", operator: "Operator", admin: "Admin" };
const UUID = "[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}";

const STYLE = "access.css";
if (!document.querySelector(`link[href="${STYLE}"]`)) document.head.append(el("link", { rel: "stylesheet", href: STYLE }));

/**
 * @param {object} session {client, tenantId, userId, roles}
 * @param {object} shell {fail, say, title}
 */
export function accessView({ client, tenantId, userId, roles }, shell) {
  const database = client.schema("milepost");
  let question = 0; // an answer to an earlier one is thrown away
  const isAdmin = () => roles[tenantId] === "admin";

  const heading = el("h1", { tabindex: -1 }, "Access");
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const make = el("button", { type: "button", "aria-haspopup": "dialog", on: { click: openDialog } }, "New key…");
  const keysHeading = el("h2", { id: "keys", tabindex: -1 }, "Keys");
  const keys = el("ul", { class: "keyring", "aria-labelledby": "keys" });
  const ended = el("ul", { class: "keyring", "aria-label": "Keys that open nothing any more" });
  const endedSummary = el("summary");
  const endedKeys = el("details", { hidden: true }, endedSummary, ended);
  const noKeys = el("p", { class: "none", hidden: true });
  const membersHeading = el("h2", { id: "members", tabindex: -1 }, "Members");
  const members = el("ul", { class: "people", "aria-labelledby": "members" });
  const add = addForm();
  const node = el("section", { class: "access", "aria-busy": true }, heading, problem,
    el("div", { class: "above" }, keysHeading, make),
    el("p", { class: "sub" }, "Programs hold keys. A key opens this tenant only, does what its scope says, and can be revoked at any time."),
    noKeys, keys, endedKeys,
    membersHeading,
    el("p", { class: "sub" }, "Viewers see the tenant's jobs, operators also control them, admins also manage keys and members."),
    members, add);

  async function ask(rpc, args) {
    problem.hidden = true;
    const { data, error, status } = await database.rpc(rpc, args);
    if (!error) return data;
    say([error.message, error.hint].filter(Boolean).join(" "));
    shell.fail(Object.assign(error, { status }));
    return null;
  }

  function say(sentence) {
    problem.hidden = false;
    text(problem, sentence);
  }

  async function read() {
    const mine = ++question;
    const [people, ring] = await Promise.all([
      ask("list_members", { tenant_id: tenantId }),
      isAdmin() ? ask("list_keys", { tenant_id: tenantId }) : [],
    ]);
    if (mine !== question) return;
    attribute(node, "aria-busy", false);
    if (people) showMembers(people);
    if (ring) showKeys(ring);
  }

  function showKeys(ring) {
    make.hidden = !isAdmin();
    const holds = (key) => !key.revoked_at && !(key.expires_at && Date.parse(key.expires_at) <= Date.now());
    const [held, over] = [ring.filter(holds), ring.filter((key) => !holds(key))];
    noKeys.hidden = held.length > 0;
    const role = ROLES[roles[tenantId]].toLowerCase();
    text(noKeys, isAdmin() ? "No key opens this tenant. Make one for the program that reports its jobs." : `Keys are for admins to see and to make, and you are ${/^[ao]/.test(role) ? "an" : "a"} ${role} here. Ask an admin of this tenant for a key.`);
    keys.replaceChildren(...held.map((key) => keyRow(key, el("button", { type: "button", "aria-label": `Revoke ${named(key)}…`, on: { click: () => revoke(key) } }, "Revoke…"))));
    keys.hidden = held.length === 0;
    endedKeys.hidden = over.length === 0;
    text(endedSummary, `Revoked and expired (${words.count(over.length)})`);
    ended.replaceChildren(...over.map((key) => keyRow(key)));
  }

  function keyRow(key, button = null) {
    const end = key.revoked_at ? ["Revoked", key.revoked_at] : key.expires_at ? [Date.parse(key.expires_at) <= Date.now() ? "Expired" : "Expires", key.expires_at] : null;
    return el("li", {},
      el("span", { class: "what" }, el("span", { class: "name" }, key.name ?? "Unnamed"), el("code", {}, `${key.prefix}…`)),
      el("span", {}, el("span", {}, key.scope), el("span", { class: "sub" }, key.kinds ? `only ${key.kinds.join(", ")}` : "all kinds")),
      el("span", {}, el("span", { title: words.exactly(key.last_used_at) }, key.last_used_at ? `Used ${words.ago(key.last_used_at)}` : "Never used"),
        el("span", { class: "sub", title: end && words.exactly(end[1]) }, end ? `${end[0]} ${words.when(end[1])}` : "Never expires")),
      el("span", {}, el("span", { title: words.exactly(key.created_at) }, `Made ${words.ago(key.created_at)}`), el("span", { class: "sub" }, maker(key.created_by))),
      button);
  }

  function maker(actor) {
    if (!actor) return "before its maker was kept";
    if (actor === `user:${userId}`) return "by you";
    return actor.startsWith("user:") ? `by ${actor.slice(5)}` : "on the command line";
  }

  function openDialog() {
    keyDialog(shell, (given) => database.rpc("create_key", { tenant_id: tenantId, ...given }), read);
  }

  async function revoke(key) {
    const isSure = await confirmed({
      title: `Revoke ${named(key)}?`,
      words: `Programs that use ${key.prefix}… are refused from their next request on. ${key.last_used_at ? `It was used ${words.ago(key.last_used_at)}. ` : ""}This cannot be undone.`,
      yes: "Revoke the key",
      no: "Keep it",
    });
    if (!isSure || !(await ask("revoke_key", { key_id: key.key_id }))) return;
    shell.say(`${named(key)} is revoked.`);
    await read();
    // The button that was pressed is gone.
    keysHeading.focus();
  }

  function showMembers(people) {
    const isOnlyAdmin = (person) => person.role === "admin" && people.filter(({ role }) => role === "admin").length === 1;
    roles[tenantId] = people.find((person) => person.user_id === userId)?.role ?? roles[tenantId];
    add.hidden = !isAdmin();
    members.replaceChildren(...people.map((person) => {
      const who = person.user_id === userId ? "you" : person.user_id;
      const said = el("span", { class: "what" }, el("span", { class: "name" }, person.user_id === userId ? "You" : person.user_id),
        el("span", { class: "sub", title: words.exactly(person.created_at) }, [person.user_id === userId && person.user_id, `since ${words.when(person.created_at)}`].filter(Boolean).join(" · ")));
      if (!isAdmin()) return el("li", {}, said, el("span", {}, ROLES[person.role]));
      if (isOnlyAdmin(person)) return el("li", {}, said, el("span", {}, ROLES[person.role]), el("span", { class: "sub" }, "The only admin stays: make another one first."));
      const role = roleSelect(`Role of ${who}`, person.role);
      role.addEventListener("change", () => change(person, role, who));
      return el("li", {}, said, role, el("button", { type: "button", "aria-label": `Remove ${who}…`, on: { click: () => remove(person, who) } }, "Remove…"));
    }));
  }

  async function change(person, role, who) {
    if (person.user_id === userId && role.value !== "admin" && !(await confirmed({ title: "Give up being an admin?", words: "You will not see the keys any more, and only another admin can make you one again.", yes: `Become ${role.value === "operator" ? "an operator" : "a viewer"}`, no: "Stay admin" }))) {
      role.value = person.role;
      return;
    }
    if (await ask("add_member", { tenant_id: tenantId, user_id: person.user_id, role: role.value })) {
      if (person.user_id === userId) roles[tenantId] = role.value;
      shell.say(`The role of ${who} is ${role.value}.`);
    }
    await read();
    (members.querySelector(`[aria-label="Role of ${who}"]`) ?? membersHeading).focus();
  }

  async function remove(person, who) {
    const isSure = await confirmed({
      title: `Remove ${who}?`,
      words: "From the next request on they see nothing of this tenant. A page that is open goes on receiving until its sign-in is renewed, an hour at most.",
      yes: "Remove the member",
      no: "Keep them",
    });
    if (!isSure || !(await ask("remove_member", { tenant_id: tenantId, user_id: person.user_id }))) return;
    shell.say(`${who} is removed.`);
    if (person.user_id === userId) return location.reload();
    await read();
    membersHeading.focus();
  }

  function addForm() {
    const user = el("input", { name: "user", required: true, pattern: UUID, title: "The id of a user, as Supabase's Authentication page shows it", autocomplete: "off", spellcheck: "false", placeholder: "00000000-0000-0000-0000-000000000000" });
    const role = roleSelect("Role", "viewer");
    const button = el("button", {}, "Add member");
    return el("form", { class: "add", hidden: true, on: { submit } }, el("label", {}, "User id", user), el("label", {}, "Role", role), button);

    async function submit(event) {
      event.preventDefault();
      button.disabled = true;
      const added = await ask("add_member", { tenant_id: tenantId, user_id: user.value.trim(), role: role.value });
      button.disabled = false;
      if (!added) return user.focus();
      shell.say(`${added.user_id} is ${added.role === "viewer" ? "a viewer" : `an ${added.role}`} now.`);
      user.value = "";
      await read();
      user.focus();
    }
  }

  return {
    node,
    show() {
      shell.title("Access · Milepost");
      read();
    },
    focus: () => heading.focus({ preventScroll: true }),
    refresh: read,
    close() {
      question += 1;
      node.remove();
    },
  };
}

function roleSelect(label, role) {
  return el("select", { "aria-label": label }, Object.entries(ROLES).map(([value, said]) => el("option", { value, selected: value === role }, said)));
}

const named = (key) => key.name ?? `${key.prefix}…`;
