/** Asks a person whether a task should stop, and why; then asks the server. */

import { mintKey, requestStop } from "../api/api.js";
import { h, setText } from "./element.js";
import { readSetting, t, writeSetting } from "../texts/i18n.js";

const NAME = "clawlog.name";

/** The server takes at most this many characters of a reason. */
const LONGEST_REASON = 1000;

/**
 * Opens the dialog for a task; `onRequested(task, reply)` is called once the server has the request.
 *
 * The focus goes back to where it was when the dialog closes, or to the page's content when that place is gone.
 */
export function openStopDialog(task, { onRequested }) {
  const opener = document.activeElement;
  const key = mintKey();
  const reason = h("textarea", {
    id: "stop-reason", name: "reason", rows: 2, maxlength: LONGEST_REASON, autofocus: true, dir: "auto",
    placeholder: t("stop.dialog.reason.placeholder"),
  });
  const by = h("input", { id: "stop-by", name: "by", maxlength: 200, autocomplete: "name", dir: "auto" });
  by.value = readSetting(NAME) ?? "";
  const error = h("p", { class: "form-error", role: "alert" });
  const cancel = h("button", { type: "button", class: "button" }, t("stop.dialog.cancel"));
  const confirm = h("button", { type: "submit", class: "button danger" }, t("stop.dialog.confirm"));
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "stop-dialog-title" }, t("stop.dialog.title")),
    h("p", { class: "dialog-task", dir: "auto" }, task.title),
    h("p", { class: "muted", id: "stop-dialog-explain" }, t("stop.dialog.explain")),
    h("label", { for: "stop-reason" }, t("stop.dialog.reason"), " ", h("span", { class: "muted" }, t("stop.dialog.optional"))),
    reason,
    h("label", { for: "stop-by" }, t("stop.dialog.by"), " ", h("span", { class: "muted" }, t("stop.dialog.optional"))),
    by,
    error,
    h("div", { class: "dialog-actions" }, cancel, confirm),
  );
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "stop-dialog-title", "aria-describedby": "stop-dialog-explain" },
    form,
  );

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    confirm.disabled = true;
    setText(confirm, t("stop.dialog.sending"));
    setText(error, "");
    try {
      writeSetting(NAME, by.value.trim());
      const reply = await requestStop(task.id, { reason: reason.value.trim(), requestedBy: by.value.trim(), key });
      dialog.close();
      onRequested(task, reply);
    } catch (failure) {
      setText(error, t("stop.dialog.failed", { detail: failure.message || t("error.network") }));
      setText(confirm, t("stop.dialog.confirm"));
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
