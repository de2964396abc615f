/** A task in the list: its title, its state, its liveness, and how to stop it. */

import { at } from "../api/address.js";
import { h, setAttribute, setText } from "./element.js";
import { t } from "../texts/i18n.js";
import { icon } from "./icons.js";
import { canStop, hasEnded, isStopping, stopStage, attentionAt } from "../api/liveness.js";
import { ProgressBar } from "./progress-bar.js";
import { STAGES } from "./receipts.js";
import { LivenessLabel, StatusBadge, labelAt } from "./status-badge.js";
import { age, clock, setTime, timeElement } from "../texts/time.js";

export class TaskRow {
  #task = null;
  #badge = new StatusBadge();
  #elapsed = timeElement("elapsed");
  #title = h("a", { class: "title", dir: "auto" });
  #attention = h("span", { class: "attention-reason" });
  #step = h("bdi", { class: "step" });
  #summary = h("bdi", { class: "summary" });
  #progress = new ProgressBar();
  #liveness = new LivenessLabel();
  #stop;
  #stage = h("span", { class: "stage" });
  #receipts = h("span", { class: "mini-receipts" }, this.#stage);

  element;

  /** `onStop(task)` is called when the Stop button is pressed. */
  constructor({ onStop }) {
    const stopWord = h("span");
    this.#stop = h(
      "button",
      { type: "button", class: "stop-button", click: () => onStop(this.#task) },
      icon("stopping"),
      stopWord,
    );
    setText(stopWord, t("stop.button"));
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
      this.#progress.element,
      this.#liveness.element,
      h("div", { class: "row-action" }, this.#stop, this.#receipts),
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
    this.#badge.show(labelAt(task, now));
    this.#showElapsed(task, now);
    setText(this.#attention, attention === null || attention === "failed" ? "" : t(`attention.${attention}`));
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
    this.#stop.hidden = !canStop(task);
    setAttribute(this.#stop, "aria-label", t("stop.button.named", { title: task.title }));
    const isOpen = isStopping(task);
    this.#receipts.hidden = !isOpen;
    if (!isOpen) return;
    const stage = stopStage(task.stop);
    setText(this.#stage, t(`receipt.${stage}`));
    for (const dot of this.#receipts.querySelectorAll(".mini-receipt")) {
      setAttribute(dot, "data-reached", STAGES.indexOf(dot.dataset.stage) <= STAGES.indexOf(stage));
    }
  }

  #showElapsed(task, now) {
    if (hasEnded(task)) {
      const endedAt = task.endedAt ?? task.updatedAt;
      setTime(this.#elapsed, task.createdAt, t("task.ran", { duration: age(endedAt - task.createdAt) }));
    } else {
      const key = task.status === "pending" ? "list.pending" : "list.elapsed";
      setTime(this.#elapsed, task.createdAt, t(key, { age: age(now - task.createdAt) }));
    }
  }
}

/** The step and the text that best describe the state of the task. */
function whatMatters(task) {
  const { currentStep, liveness, status, stop, summary } = task;
  const failed = status === "failed" ? task.steps.find((step) => step.status === "failed") : null;
  if (failed) return { step: failed.title, words: failed.summary || summary };
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
