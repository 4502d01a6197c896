// Links by which somebody without an account may follow one job: made, shown once, listed, revoked.

import { copyable } from "./copyable.js";
import { el, text } from "./dom.js";
import * as words from "./words.js";

const LIVES = { "1 day": 86_400, "7 days": 7 * 86_400, "30 days": 30 * 86_400, "1 year": 365 * 86_400 };

/**
 * The button that opens the dialog; for those who may control the job.
 *
 * @param {object} session {client, userId}
 * @param {{apiUrl: string, say: (sentence: string) => void}} shell
 */
export function shareButton({ client, userId }, shell, jobId) {
  return el("button", { type: "button", "aria-haspopup": "dialog", on: { click: () => open(client.schema("milepost"), userId, shell, jobId) } }, "Share…");
}

function open(database, userId, shell, jobId) {
  const life = el("select", { "aria-label": "How long the link holds" }, Object.entries(LIVES).map(([label, seconds]) => el("option", { value: seconds, selected: label === "7 days" }, label)));
  const make = el("button", { class: "serious" }, "Make a link");
  const made = el("div", { class: "made", hidden: true });
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const list = el("ol");
  const listed = el("section", { hidden: true }, el("h3", {}, "Links that hold"), list);
  const dialog = el("dialog", { class: "sharing", "aria-labelledby": "sharing" },
    el("h2", { id: "sharing" }, "Share this job"),
    el("p", {}, "Whoever has the link sees how far it is, its stages and when it will be done: no data, no workers, no error texts, and nothing of other jobs. It cannot change anything."),
    el("form", { on: { submit: create } }, life, make),
    problem, made, listed,
    el("form", { method: "dialog", class: "answers" }, el("button", {}, "Close")));

  async function ask(rpc, given) {
    problem.hidden = true;
    const { data, error } = await database.rpc(rpc, given);
    if (error) {
      problem.hidden = false;
      text(problem, [error.message, error.hint].filter(Boolean).join(" "));
    }
    return data;
  }

  async function create(event) {
    event.preventDefault();
    make.disabled = true;
    const share = await ask("share_job", { job_id: jobId, expires_in_s: Number(life.value) });
    make.disabled = false;
    if (!share) return;
    const badge = `${shell.apiUrl}/v1/jobs/${jobId}/badge.svg?share=${share.token}`;
    const link = new URL(`shared.html#${share.token}`, location.href.split("#")[0]).href;
    const inputs = [
      copyable("Link", link, shell),
      copyable("Badge", `[![Progress](${badge})](${link})`, shell),
      copyable("Embed", `<script src="${new URL("embed.js", location.href).href}" defer></script>\n<milepost-progress key="${share.token}" url="${shell.apiUrl}"></milepost-progress>`, shell),
    ];
    made.hidden = false;
    made.replaceChildren(el("p", {}, `It holds until ${words.exactly(share.expires_at)}. It is shown this once.`), ...inputs);
    made.querySelector("input").select();
    shell.say("The link is made.");
    read();
  }

  async function read() {
    const { shares } = (await ask("list_shares", { job_id: jobId })) ?? { shares: [] };
    listed.hidden = shares.length === 0;
    list.replaceChildren(...shares.map((share) => {
      const by = share.created_by === `user:${userId}` ? "you" : share.created_by.startsWith("key:") ? "a key" : "a teammate";
      const said = `Made ${words.ago(share.created_at)} by ${by}, holds until ${words.when(share.expires_at)}`;
      const revoke = el("button", { type: "button", "aria-label": `Revoke the link: ${said}`, on: { click: () => end(share, revoke) } }, "Revoke");
      return el("li", {}, el("span", { title: words.exactly(share.expires_at) }, said), revoke);
    }));
  }

  async function end(share, button) {
    button.disabled = true;
    if (await ask("revoke_share", { share_id: share.share_id })) shell.say("The link is revoked.");
    await read();
    // The button that was pressed is gone; the focus stays in the dialog.
    (list.querySelector("button") ?? make).focus();
  }

  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  read();
}
