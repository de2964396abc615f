/** A state as icon and word. Never colour alone. */

import { h, setAttribute, setText } from "./element.js";
import { icon, setIcon } from "./icons.js";
import { t } from "../texts/i18n.js";

export class StatusBadge {
  #icon = icon("pending");
  #word = h("span");

  element = h("span", { class: "badge" }, this.#icon, this.#word);

  /** Shows one of the states of tasks, or one of the statuses of steps. */
  show(status) {
    setAttribute(this.element, "data-status", status);
    setIcon(this.#icon, status);
    setText(this.#word, t(`status.${status}`));
  }
}
