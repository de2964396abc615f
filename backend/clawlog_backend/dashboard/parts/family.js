/** The task that a task is a part of, and the tasks that are parts of it. */

import { at } from "../api/address.js";
import { h, setAttribute } from "./element.js";
import { t } from "../texts/i18n.js";
import { StatusBadge } from "./status-badge.js";

export class Family {
  #shown = "";
  #list = h("ul", { class: "family" });

  element = h(
    "section",
    { class: "card", "aria-labelledby": "family-title", hidden: true },
    h("div", { class: "card-head" }, h("h2", { id: "family-title" }, t("task.family"))),
    this.#list,
  );

  update({ parent, subtasks }) {
    const shown = JSON.stringify([parent, subtasks]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.element.hidden = parent === null && subtasks.length === 0;
    const rows = subtasks.map((task) => row(task, t("task.subtask")));
    this.#list.replaceChildren(...(parent === null ? [] : [row(parent, t("task.parent"))]), ...rows);
  }
}

function row({ id, title, status }, role) {
  const badge = new StatusBadge();
  badge.show(status === "pending" ? "running" : status); // a task that has not begun is under way all the same
  const link = h("a", { href: at(`/tasks/${encodeURIComponent(id)}`), dir: "auto" }, title);
  const item = h("li", {}, h("span", { class: "muted" }, role), link, badge.element);
  setAttribute(item, "data-status", status);
  return item;
}
