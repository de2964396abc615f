/** The heading of a group of rows: its name, how many tasks it has, what in it needs a person, and what can be done to all. */

import { h, setAttribute, setText } from "./element.js";
import { icon } from "./icons.js";
import { count, t } from "../texts/i18n.js";

/** The states that a heading counts, where it is not of them alone. */
const COUNTED = ["waiting", "lost", "failed", "stale"];

export class GroupRow {
  #item = null;
  #name = h("span", { class: "group-name", dir: "auto" });
  #number = h("span", { class: "group-number" });
  #fold;
  #counts = new Map(COUNTED.map((state) => [state, h("span", { class: "group-count", "data-status": state })]));
  #buttons;

  element;

  /** `onFold(name)` is called when the heading is pressed, `onAll(action, name)` when something is to be done to all. */
  constructor({ onFold, onAll }) {
    this.#fold = h("button", { type: "button", class: "group-fold", click: () => onFold(this.#item.name) }, icon("fold"), this.#name, this.#number);
    this.#buttons = new Map(["acknowledge", "stop"].map((action) => [
      action,
      h("button", { type: "button", class: "link-button", click: () => onAll(action, this.#item.name) }, t(`list.all.${action}`)),
    ]));
    this.element = h("li", { class: "group" }, h("h2", {}, this.#fold), [...this.#counts.values()], h("span", { class: "group-actions" }, [...this.#buttons.values()]));
  }

  /** `possible` has how many of the group's tasks each action can be done to. */
  update(item) {
    this.#item = item;
    setAttribute(this.element, "data-group", item.name);
    setText(this.#name, item.label);
    setText(this.#number, item.n);
    setAttribute(this.#fold, "aria-expanded", String(!item.isFolded));
    for (const [state, chip] of this.#counts) {
      const n = item.hasChips ? item.counts[state] : 0;
      chip.hidden = n === 0;
      setText(chip, n ? `${count(n)} ${t(`status.${state}`)}` : "");
    }
    for (const [action, button] of this.#buttons) {
      button.hidden = item.possible[action] < 2;
      setAttribute(button, "aria-label", t(`list.all.${action}.named`, { group: item.label, n: count(item.possible[action]) }));
    }
  }
}
