/** Notifications of the browser, for those who turned them on: a task that needs a person, died, failed, or is done. */

import { at } from "../api/address.js";
import { setSetting, setting } from "./settings.js";
import { stateOf } from "../api/states.js";
import { t } from "../texts/i18n.js";

const TOLD = new Set(["waiting", "lost", "failed", "done"]);

/** Whether they are turned on, and the browser allows them. */
export function notifies() {
  return setting("notifications") === "on" && globalThis.Notification?.permission === "granted";
}

/** Turns them `on`, for which the browser asks the reader, or `off`; resolves with what came of it. */
export async function turnNotifications(value) {
  const isGranted = value === "on" && (await globalThis.Notification?.requestPermission()) === "granted";
  setSetting("notifications", isGranted ? "on" : "off");
  return setting("notifications");
}

/** Tells of a task whose state changed, unless the reader looks at the page anyway; `known` is how it stood before. */
export function notify(known, task) {
  if (known === null || !notifies() || document.hasFocus()) return;
  const state = stateOf(task);
  if (!TOLD.has(state) || state === stateOf(known)) return;
  const body = [task.summary, task.pairs.host].filter(Boolean).join(" · ");
  const shown = new Notification(`${t(`status.${state}`)}: ${task.title}`, { body, tag: task.id });
  shown.addEventListener("click", () => {
    window.focus();
    window.location.assign(at(`/tasks/${encodeURIComponent(task.id)}`));
  });
}
