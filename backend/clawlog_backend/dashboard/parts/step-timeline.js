/** The steps of a task as a timeline: when each began, how long it took, how it ended. */

import { h, setAttribute, setText } from "./element.js";
import { t } from "../texts/i18n.js";
import { clockEnd } from "../api/liveness.js";
import { MeasureBar } from "./measure-bar.js";
import { StatusBadge } from "./status-badge.js";
import { absolute, duration } from "../texts/time.js";

export class StepTimeline {
  #rows = new Map();
  #list = h("ol", { class: "steps" });
  #none = h("p", { class: "muted" }, t("task.steps.none"));
  #figures = h("span", { class: "muted" });

  element = h(
    "section",
    { class: "card", "aria-labelledby": "steps-title" },
    h("div", { class: "card-head" }, h("h2", { id: "steps-title" }, t("task.steps")), this.#figures),
    this.#list,
    this.#none,
  );

  update(task, now) {
    const begin = Math.min(task.createdAt, ...task.steps.map((step) => step.startedAt ?? step.endedAt ?? task.createdAt));
    const end = Math.max(clockEnd(task, now), begin + 1);
    const { done, failed, total } = task.progress;
    setText(this.#figures, total ? t(failed ? "list.steps.failed" : "list.steps", { done, failed, total }) : "");
    this.#none.hidden = task.steps.length > 0;
    const isSame = task.steps.length === this.#rows.size && task.steps.every((step) => this.#rows.has(step.id));
    if (!isSame) {
      this.#rows = new Map(task.steps.map((step) => [step.id, new StepRow()]));
      this.#list.replaceChildren(...[...this.#rows.values()].map((row) => row.element));
    }
    for (const step of task.steps) this.#rows.get(step.id).update(step, { begin, end, now });
  }
}

class StepRow {
  #position = h("span", { class: "step-position", "aria-hidden": "true" });
  #badge = new StatusBadge();
  #title = h("span", { class: "step-title", dir: "auto" });
  #summary = h("span", { class: "step-summary", dir: "auto" });
  #measure = new MeasureBar();
  #bar = h("span", { class: "step-bar" });
  #duration = h("span", { class: "step-duration" });

  element = h(
    "li",
    { class: "step-row" },
    this.#position,
    h("div", { class: "step-text" }, this.#title, this.#summary, this.#measure.element),
    this.#badge.element,
    h("div", { class: "step-track", "aria-hidden": "true" }, this.#bar),
    this.#duration,
  );

  update(step, { begin, end, now }) {
    setAttribute(this.element, "data-status", step.status);
    setText(this.#position, String(step.position));
    setText(this.#title, step.title);
    setText(this.#summary, step.summary);
    this.#summary.hidden = step.summary === "";
    this.#measure.update(step.measure);
    this.#badge.show(step.status);
    const from = step.startedAt ?? step.endedAt;
    this.#bar.hidden = from === null;
    if (from === null) {
      setText(this.#duration, step.status === "pending" ? t("step.waiting") : "");
      return;
    }
    const isOpen = step.status === "running" || step.status === "unfinished";
    const to = step.endedAt ?? (isOpen ? Math.min(now, end) : from);
    setText(this.#duration, step.startedAt === null ? "" : duration(to - from));
    setAttribute(this.#duration, "title", step.endedAt === null ? absolute(from) : `${absolute(from)} – ${absolute(to)}`);
    this.#bar.style.left = `${percent(from - begin, end - begin)}%`;
    this.#bar.style.width = `${percent(to - from, end - begin)}%`;
  }
}

function percent(part, whole) {
  return Math.max(0, Math.min(100, (100 * part) / whole)).toFixed(2);
}
