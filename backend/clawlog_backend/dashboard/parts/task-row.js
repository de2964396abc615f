/** A task in the list, on one line (on a phone, two): its state once, what it is on, where, how far, and what a person can do. */

import { at } from "../api/address.js";
import { h, setAttribute, setText } from "./element.js";
import { ages, evidence } from "./evidence.js";
import { icon, setIcon } from "./icons.js";
import { measureText } from "./measure-bar.js";
import { ProgressBar } from "./progress-bar.js";
import { openRowMenu } from "./row-menu.js";
import { StatusBadge } from "./status-badge.js";
import { clockEnd, hasEnded, isDead, isNew, isStopping, nowOf, stateOf, stopStage, unreportedSteps, usualAction } from "../api/states.js";
import { t } from "../texts/i18n.js";
import { STAGES } from "./receipts.js";
import { absolute, clock, roughAge } from "../texts/time.js";

/** The columns that a list has where a task's metadata have them. */
export const PLACES = Object.freeze(["agent", "host", "project"]);

/** The icon of each action. */
export const ACTION_ICONS = Object.freeze({ stop: "stopping", close: "close", acknowledge: "acknowledge" });

export class TaskRow {
  #task = null;
  #isPointed = false;
  #check = h("input", { type: "checkbox", class: "row-check" });
  #badge = new StatusBadge();
  #title = h("a", { class: "title", dir: "auto" });
  #parent = h("span", { class: "row-parent", "aria-hidden": "true" }, "↳");
  #step = h("bdi", { class: "step" });
  #measure = h("bdi", { class: "measure-words" });
  #summary = h("bdi", { class: "summary" });
  #places = new Map(PLACES.map((name) => [name, h("bdi", { class: "row-place", "data-column": name })]));
  #progress = new ProgressBar();
  #evidence = h("span", { class: "evidence" });
  #elapsed = h("span", { class: "elapsed" });
  #action = null;
  #buttonIcon = icon("stopping");
  #buttonWord = h("span");
  #button;
  #more;
  #receipts = h("span", { class: "mini-receipts", "aria-hidden": "true" }, STAGES.map((stage) => h("span", { class: "mini-receipt", "data-stage": stage })));

  element;

  /** `onAction(action, task)` is called when the row's button is pressed, `onSelect(task, isSelected, event)` by its box. */
  constructor({ onAction, onSelect }) {
    this.#button = h(
      "button",
      { type: "button", class: "row-button", click: () => onAction(this.#action, this.#task) },
      this.#buttonIcon,
      this.#buttonWord,
    );
    this.#more = h(
      "button",
      { type: "button", class: "row-more", "aria-haspopup": "menu", "aria-expanded": "false", click: () => openRowMenu(this.#more, this.#task, { onAction }) },
      "⋯",
    );
    this.#check.addEventListener("click", (event) => onSelect(this.#task, this.#check.checked, event));
    this.element = h(
      "li",
      { class: "row", pointerenter: () => this.#point(true), pointerleave: () => this.#point(false) },
      h("span", { class: "row-select" }, this.#check),
      this.#badge.element,
      h("div", { class: "row-text" }, this.#parent, this.#title, h("span", { class: "row-now" }, this.#step, this.#measure, this.#summary)),
      [...this.#places.values()],
      this.#progress.element,
      this.#evidence,
      this.#elapsed,
      h("div", { class: "row-action" }, this.#button, this.#receipts, this.#more),
    );
  }

  update({ task, index, size, depth, isSelected }) {
    const now = clock.now();
    if (task !== this.#task) this.#showFacts(task);
    setAttribute(this.element, "aria-posinset", index);
    setAttribute(this.element, "aria-setsize", size);
    setAttribute(this.element, "data-depth", depth || null);
    setAttribute(this.element, "data-selected", isSelected);
    this.#parent.hidden = task.parentId === null || depth > 0;
    this.#check.checked = isSelected;
    setText(this.#evidence, evidence(task, now).text);
    const isOver = hasEnded(task) || isDead(task);
    const elapsed = roughAge(clockEnd(task, now) - task.createdAt);
    if (this.#isPointed) this.#showHints();
    setText(this.#elapsed, isOver ? t("list.ran", { age: elapsed }) : elapsed);
  }

  #point(isPointed) {
    this.#isPointed = isPointed;
    if (isPointed) this.#showHints();
  }

  /** What is cut short, and the times in full: put together only where somebody points at the row. */
  #showHints() {
    const task = this.#task;
    const now = clock.now();
    const { time } = evidence(task, now);
    setAttribute(this.#title, "title", task.title);
    setAttribute(this.#summary, "title", this.#summary.textContent || null);
    for (const cell of this.#places.values()) setAttribute(cell, "title", cell.textContent || null);
    setAttribute(this.#evidence, "title", [absolute(time), ...ages(task, now).map((line) => line.text)].join(" · "));
    setAttribute(this.#elapsed, "title", t("task.created", { when: absolute(task.createdAt) }));
  }

  #showFacts(task) {
    this.#task = task;
    const state = stateOf(task);
    setAttribute(this.element, "data-status", state);
    setAttribute(this.element, "data-new", isNew(task));
    this.#badge.show(state);
    setText(this.#title, task.title);
    setAttribute(this.#title, "href", at(`/tasks/${encodeURIComponent(task.id)}`));
    setAttribute(this.#check, "aria-label", t("list.select", { title: task.title }));
    setAttribute(this.#more, "aria-label", t("menu.label", { title: task.title }));
    const { step, words } = nowOf(task);
    const unreported = unreportedSteps(task);
    setText(this.#step, unreported ? t("task.unreported", { n: unreported }) : step);
    setText(this.#measure, task.measure === null || hasEnded(task) ? "" : measureText(task.measure));
    setText(this.#summary, words);
    setAttribute(this.#title, "data-alone", [this.#step, this.#measure, this.#summary].every((each) => each.textContent === ""));
    for (const [name, cell] of this.#places) setText(cell, task.pairs[name] ?? "");
    this.#progress.update(task);
    this.#showAction(task);
  }

  #showAction(task) {
    this.#action = usualAction(task);
    this.#button.hidden = this.#action === null;
    if (this.#action !== null) {
      setAttribute(this.#button, "data-action", this.#action);
      setAttribute(this.#button, "aria-label", t(`action.named.${this.#action}`, { title: task.title }));
      setIcon(this.#buttonIcon, ACTION_ICONS[this.#action]);
      setText(this.#buttonWord, t(`action.${this.#action}`));
    }
    this.#receipts.hidden = !isStopping(task) || isDead(task);
    if (this.#receipts.hidden) return;
    const stage = stopStage(task.stop);
    for (const dot of this.#receipts.children) {
      setAttribute(dot, "data-reached", STAGES.indexOf(dot.dataset.stage) <= STAGES.indexOf(stage));
    }
  }
}
