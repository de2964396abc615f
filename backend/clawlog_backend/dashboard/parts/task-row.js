/** A task in the list: its title, its state, its liveness, and what a person can do about it. */

import { at } from "../api/address.js";
import { h, setAttribute, setText } from "./element.js";
import { t } from "../texts/i18n.js";
import { icon, setIcon } from "./icons.js";
import {
  attentionAt, canAcknowledge, canStop, clockEnd, hasEnded, isDead, isStopping, stopStage, unreportedSteps,
} from "../api/liveness.js";
import { MeasureBar } from "./measure-bar.js";
import { ProgressBar } from "./progress-bar.js";
import { STAGES } from "./receipts.js";
import { LivenessLabel, StatusBadge, labelAt } from "./status-badge.js";
import { age, clock, setTime, timeElement } from "../texts/time.js";

/** Reasons for attention that the row's status says already. */
const SAID_BY_STATUS = new Set([null, "failed", "waiting"]);

const ACTION_ICONS = { stop: "stopping", close: "close", acknowledge: "acknowledge" };

export class TaskRow {
  #task = null;
  #badge = new StatusBadge();
  #elapsed = timeElement("elapsed");
  #title = h("a", { class: "title", dir: "auto" });
  #attention = h("span", { class: "attention-reason" });
  #step = h("bdi", { class: "step" });
  #summary = h("bdi", { class: "summary" });
  #progress = new ProgressBar();
  #measure = new MeasureBar();
  #liveness = new LivenessLabel();
  #action = null;
  #button;
  #buttonIcon = icon("stopping");
  #buttonWord = h("span");
  #stage = h("span", { class: "stage" });
  #receipts = h("span", { class: "mini-receipts" }, this.#stage);

  element;

  /** `onAction(action, task)` is called when the row's button is pressed: `stop`, `close` or `acknowledge`. */
  constructor({ onAction }) {
    this.#button = h(
      "button",
      { type: "button", class: "row-button", click: () => onAction(this.#action, this.#task) },
      this.#buttonIcon,
      this.#buttonWord,
    );
    this.#receipts.prepend(...STAGES.map((stage) => h("span", { class: "mini-receipt", "data-stage": stage })));
    this.element = h(
      "li",
      { class: "row" },
      h("div", { class: "row-status" }, this.#badge.element, this.#elapsed),
      h(
        "div",
        { class: "row-text" },
        h("div", { class: "row-title" }, this.#title),
        h("div", { class: "row-now" }, this.#attention, this.#step, this.#summary),
      ),
      h("div", { class: "row-progress" }, this.#progress.element, this.#measure.element),
      this.#liveness.element,
      h("div", { class: "row-action" }, this.#button, this.#receipts),
    );
  }

  update({ task, index, size }) {
    const now = clock.now();
    const attention = attentionAt(task, now);
    if (task !== this.#task) this.#showFacts(task);
    setAttribute(this.element, "aria-posinset", index);
    setAttribute(this.element, "aria-setsize", size);
    setAttribute(this.element, "data-status", labelAt(task, now));
    setAttribute(this.element, "data-attention", attention);
    setAttribute(this.element, "data-dead", isDead(task));
    this.#badge.show(labelAt(task, now));
    this.#showElapsed(task, now);
    setText(this.#attention, SAID_BY_STATUS.has(attention) ? "" : t(`attention.${attention}`));
    this.#liveness.update(task, now);
  }

  #showFacts(task) {
    this.#task = task;
    setText(this.#title, task.title);
    setAttribute(this.#title, "href", at(`/tasks/${encodeURIComponent(task.id)}`));
    setAttribute(this.#title, "title", task.title);
    const { step, words } = whatMatters(task);
    setText(this.#step, step);
    setText(this.#summary, words);
    this.#progress.update(task);
    this.#measure.update(task.measure);
    this.#action = actionFor(task);
    this.#button.hidden = this.#action === null;
    if (this.#action !== null) {
      setAttribute(this.#button, "data-action", this.#action);
      setAttribute(this.#button, "aria-label", t(`action.named.${this.#action}`, { title: task.title }));
      setIcon(this.#buttonIcon, ACTION_ICONS[this.#action]);
      setText(this.#buttonWord, t(`action.${this.#action}`));
    }
    const isOpen = isStopping(task) && !isDead(task);
    this.#receipts.hidden = !isOpen;
    if (!isOpen) return;
    const stage = stopStage(task.stop);
    setText(this.#stage, t(`receipt.${stage}`));
    for (const dot of this.#receipts.querySelectorAll(".mini-receipt")) {
      setAttribute(dot, "data-reached", STAGES.indexOf(dot.dataset.stage) <= STAGES.indexOf(stage));
    }
  }

  #showElapsed(task, now) {
    if (hasEnded(task) || isDead(task)) {
      setTime(this.#elapsed, task.createdAt, t("task.ran", { duration: age(clockEnd(task, now) - task.createdAt) }));
    } else {
      const key = task.status === "pending" ? "list.pending" : "list.elapsed";
      setTime(this.#elapsed, task.createdAt, t(key, { age: age(now - task.createdAt) }));
    }
  }
}

/** What a person most likely wants to do about the task: stop it; if nobody is there to hear that, put it away. */
function actionFor(task) {
  if (canStop(task)) return "stop";
  if (isDead(task)) return "close";
  return canAcknowledge(task) ? "acknowledge" : null;
}

/** The step and the text that best describe the state of the task. */
function whatMatters(task) {
  const { currentStep, liveness, status, stop, summary } = task;
  const failed = status === "failed" ? task.steps.find((step) => step.status === "failed") : null;
  if (failed) return { step: failed.title, words: failed.summary || summary };
  const unreported = unreportedSteps(task);
  if (unreported) return { step: t("task.unreported", { n: unreported }), words: summary };
  if (status === "waiting") return { step: "", words: summary };
  if (hasEnded(task)) return { step: "", words: (status === "interrupted" && stop?.answer) || summary };
  if (liveness.state === "lost" && liveness.reason) return { step: "", words: liveness.reason };
  return { step: currentStep?.title ?? "", words: currentStep?.summary || summary };
}

/** The heading of a group of rows. */
export class GroupRow {
  #heading = h("h2");

  element = h("li", { class: "group" }, this.#heading);

  update({ name, n }) {
    setAttribute(this.element, "data-group", name);
    setText(this.#heading, `${t(`list.group.${name}`)} · ${n}`);
  }
}
