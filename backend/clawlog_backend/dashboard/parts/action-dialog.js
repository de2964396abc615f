/** Asks a person whether tasks should be stopped, closed or acknowledged, and why; then asks the server. */

import { acknowledgeTask, actOnMany, closeTask, mintKey, requestStop } from "../api/api.js";
import { openDialog } from "./dialog.js";
import { h, setText } from "./element.js";
import { count, readSetting, t, writeSetting } from "../texts/i18n.js";

const NAME = "clawlog.name";

/** The server takes at most this many characters of a reason. */
const LONGEST_REASON = 1000;

/** How a task can be closed, the usual way first. */
const CLOSED_AS = ["failed", "interrupted", "done"];

/** Of many tasks, this many are named. */
const MOST_NAMED = 6;

const SENDERS = { stop: requestStop, close: closeTask, acknowledge: acknowledgeTask };

/**
 * Opens the dialog of an action (`stop`, `close` or `acknowledge`) for one task or many; `onDone(tasks)` is called once the
 * server has done it. What it could not do for some of many is said before the dialog closes.
 */
export function openActionDialog(action, tasks, { onDone }) {
  const key = mintKey();
  const hasReason = action !== "acknowledge";
  const isMany = tasks.length > 1;
  const words = (name) => (isMany ? t(`dialog.${name}.${action}.many`, { n: count(tasks.length) }) : t(`dialog.${name}.${action}`));
  const reason = h("textarea", {
    id: "dialog-reason", name: "reason", rows: 2, maxlength: LONGEST_REASON, autofocus: true, dir: "auto",
    placeholder: action === "stop" ? t("dialog.reason.placeholder") : null,
  });
  const status = h("select", { id: "dialog-status" }, CLOSED_AS.map((each) => h("option", { value: each }, t(`status.${each}`))));
  const by = h("input", { id: "dialog-by", name: "by", maxlength: 200, autocomplete: "name", dir: "auto", autofocus: !hasReason });
  by.value = readSetting(NAME) ?? "";
  const error = h("p", { class: "form-error", role: "alert" });
  const cancel = h("button", { type: "button", class: "button" }, t(action === "stop" && !isMany ? "dialog.keep" : "dialog.cancel"));
  const confirm = h("button", { type: "submit", class: `button ${action === "acknowledge" ? "primary" : "danger"}` }, words("confirm"));
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "dialog-title" }, words("title")),
    named(tasks),
    h("p", { class: "muted", id: "dialog-explain" }, t(`dialog.explain.${action}`)),
    action === "close" ? [h("label", { for: "dialog-status" }, t("dialog.status")), status] : null,
    hasReason ? [label("dialog-reason", t(`dialog.reason.${action}`)), reason] : null,
    label("dialog-by", t("dialog.by")),
    by,
    error,
    h("div", { class: "dialog-actions" }, cancel, confirm),
  );
  const dialog = openDialog({ "aria-labelledby": "dialog-title", "aria-describedby": "dialog-explain" }, form);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    confirm.disabled = true;
    setText(confirm, t("dialog.sending"));
    setText(error, "");
    try {
      writeSetting(NAME, by.value.trim());
      const said = { status: status.value, reason: reason.value.trim(), by: by.value.trim(), key };
      const refused = isMany ? refusals(await actOnMany(action, tasks.map(({ id }) => id), said), tasks) : [];
      if (!isMany) await SENDERS[action](tasks[0].id, said);
      onDone(tasks);
      if (refused.length === 0) dialog.close();
      else showRefused(refused);
    } catch (failure) {
      setText(error, t("dialog.failed", { detail: failure.message || t("error.network") }));
      setText(confirm, words("confirm"));
      confirm.disabled = false;
    }
  });
  reason.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  cancel.addEventListener("click", () => dialog.close());

  function showRefused(refused) {
    setText(error, t("dialog.refused", { n: count(refused.length), detail: refused.slice(0, MOST_NAMED).join(" · ") }));
    confirm.hidden = true;
    setText(cancel, t("dialog.close"));
    cancel.focus();
  }
}

function refusals(results, tasks) {
  const titles = new Map(tasks.map(({ id, title }) => [id, title]));
  return results.filter(({ status }) => status === "rejected").map(({ task_id: id, detail }) => `${titles.get(id)}: ${detail}`);
}

function named(tasks) {
  if (tasks.length === 1) return h("p", { class: "dialog-task", dir: "auto" }, tasks[0].title);
  const rest = tasks.length - MOST_NAMED;
  const more = rest > 0 ? h("li", { class: "muted" }, t("dialog.more", { n: count(rest) })) : null;
  return h("ul", { class: "dialog-task" }, tasks.slice(0, MOST_NAMED).map(({ title }) => h("li", { dir: "auto" }, title)), more);
}

function label(field, text) {
  return h("label", { for: field }, text, " ", h("span", { class: "muted" }, t("dialog.optional")));
}
