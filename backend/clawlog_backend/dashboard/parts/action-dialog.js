/** Asks a person whether a task should be stopped, closed or acknowledged, and why; then asks the server. */

import { acknowledgeTask, closeTask, mintKey, requestStop } from "../api/api.js";
import { h, setText } from "./element.js";
import { readSetting, t, writeSetting } from "../texts/i18n.js";

const NAME = "clawlog.name";

/** The server takes at most this many characters of a reason. */
const LONGEST_REASON = 1000;

/** How a task can be closed, the usual way first. */
const CLOSED_AS = ["failed", "interrupted", "done"];

const SENDERS = { stop: requestStop, close: closeTask, acknowledge: acknowledgeTask };

/**
 * Opens the dialog of an action (`stop`, `close` or `acknowledge`) for a task; `onDone(task)` is called once the server
 * has done it.
 *
 * The focus goes back to where it was when the dialog closes, or to the page's content when that place is gone.
 */
export function openActionDialog(action, task, { onDone }) {
  const opener = document.activeElement;
  const key = mintKey();
  const hasReason = action !== "acknowledge";
  const reason = h("textarea", {
    id: "dialog-reason", name: "reason", rows: 2, maxlength: LONGEST_REASON, autofocus: true, dir: "auto",
    placeholder: action === "stop" ? t("dialog.reason.placeholder") : null,
  });
  const status = h("select", { id: "dialog-status" }, CLOSED_AS.map((each) => h("option", { value: each }, t(`status.${each}`))));
  const by = h("input", { id: "dialog-by", name: "by", maxlength: 200, autocomplete: "name", dir: "auto", autofocus: !hasReason });
  by.value = readSetting(NAME) ?? "";
  const error = h("p", { class: "form-error", role: "alert" });
  const cancel = h("button", { type: "button", class: "button" }, t(action === "stop" ? "dialog.keep" : "dialog.cancel"));
  const confirm = h("button", { type: "submit", class: `button ${action === "acknowledge" ? "primary" : "danger"}` }, t(`dialog.confirm.${action}`));
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "dialog-title" }, t(`dialog.title.${action}`)),
    h("p", { class: "dialog-task", dir: "auto" }, task.title),
    h("p", { class: "muted", id: "dialog-explain" }, t(`dialog.explain.${action}`)),
    action === "close" ? [h("label", { for: "dialog-status" }, t("dialog.status")), status] : null,
    hasReason ? [label("dialog-reason", t(`dialog.reason.${action}`)), reason] : null,
    label("dialog-by", t("dialog.by")),
    by,
    error,
    h("div", { class: "dialog-actions" }, cancel, confirm),
  );
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "dialog-title", "aria-describedby": "dialog-explain" },
    form,
  );

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    confirm.disabled = true;
    setText(confirm, t("dialog.sending"));
    setText(error, "");
    try {
      writeSetting(NAME, by.value.trim());
      const said = { status: status.value, reason: reason.value.trim(), by: by.value.trim(), key };
      await SENDERS[action](task.id, said);
      dialog.close();
      onDone(task);
    } catch (failure) {
      setText(error, t("dialog.failed", { detail: failure.message || t("error.network") }));
      setText(confirm, t(`dialog.confirm.${action}`));
      confirm.disabled = false;
    }
  });
  reason.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  cancel.addEventListener("click", () => dialog.close());
  // Pressed, not clicked: a selection dragged out of the text must not throw away what was written.
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    const isThere = opener?.isConnected && opener.checkVisibility();
    (isThere ? opener : document.getElementById("main")).focus({ preventScroll: true });
  });
  document.body.append(dialog);
  dialog.showModal();
}

function label(field, text) {
  return h("label", { for: field }, text, " ", h("span", { class: "muted" }, t("dialog.optional")));
}
