/** What can be done to the selected tasks. Shown while there are any. */

import { h, setAttribute, setText } from "./element.js";
import { icon } from "./icons.js";
import { ACTION_ICONS } from "./task-row.js";
import { CAN } from "../api/states.js";
import { count, t } from "../texts/i18n.js";

export class SelectionBar {
  #number = h("span", { role: "status" });
  #buttons;

  element;

  /** `onAction(action)` is called for an action on what is selected, `onClear()` to select nothing. */
  constructor({ onAction, onClear }) {
    this.#buttons = new Map(Object.keys(CAN).map((action) => {
      const word = h("span");
      const attributes = { type: "button", class: "button small", "data-action": action, click: () => onAction(action) };
      return [action, { button: h("button", attributes, icon(ACTION_ICONS[action]), word), word }];
    }));
    const clear = h("button", { type: "button", class: "button small quiet", click: onClear }, t("selection.clear"));
    this.element = h(
      "section",
      { class: "selection-bar", "aria-label": t("selection.label"), hidden: true },
      this.#number,
      [...this.#buttons.values()].map(({ button }) => button),
      clear,
    );
  }

  update(tasks) {
    this.element.hidden = tasks.length === 0;
    setText(this.#number, tasks.length ? t("selection.number", { n: count(tasks.length) }) : "");
    for (const [action, { button, word }] of this.#buttons) {
      const n = tasks.filter(CAN[action]).length;
      button.hidden = n === 0;
      setText(word, `${t(`action.${action}`)} ${count(n)}`);
      setAttribute(button, "aria-label", t(`selection.${action}`, { n: count(n) }));
    }
  }
}
