/** The steps of a task as a timeline: when each began, how long it took, how it ended. What has ended is folded once it is much. */

import { clockEnd } from "../api/states.js";
import { h, setAttribute, setText } from "./element.js";
import { icon } from "./icons.js";
import { MeasureBar } from "./measure-bar.js";
import { StatusBadge } from "./status-badge.js";
import { TimeAxis } from "./time-axis.js";
import { count, t } from "../texts/i18n.js";
import { absolute, duration } from "../texts/time.js";

/** So many ended steps before the current one are folded. */
const FOLDED_FROM = 8;

/** Of those, the last ones stay in sight. */
const KEPT = 2;

const ENDED = new Set(["done", "failed", "skipped"]);

export class StepTimeline {
  #rows = new Map();
  #isUnfolded = false;
  #list = h("ol", { class: "steps" });
  #none = h("p", { class: "muted" }, t("task.steps.none"));
  #figures = h("span", { class: "muted" });
  #axis = new TimeAxis();
  #foldText = h("span");
  #fold;

  element;

  constructor() {
    const toggle = () => {
      this.#isUnfolded = !this.#isUnfolded;
      this.#showFold();
    };
    this.#fold = h("button", { type: "button", class: "steps-fold", click: toggle }, icon("fold"), this.#foldText);
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": "steps-title" },
      h("div", { class: "card-head" }, h("h2", { id: "steps-title" }, t("task.steps")), this.#figures),
      h("div", { class: "step-axis", "aria-hidden": "true" }, this.#axis.element),
      this.#fold,
      this.#list,
      this.#none,
    );
  }

  update(task, now) {
    const begin = Math.min(task.createdAt, ...task.steps.map((step) => step.startedAt ?? step.endedAt ?? task.createdAt));
    const end = Math.max(clockEnd(task, now), begin + 1);
    const { done, failed, total } = task.progress;
    setText(this.#figures, total ? t(failed ? "list.steps.failed" : "list.steps", { done, failed, total }) : "");
    this.#none.hidden = task.steps.length > 0;
    this.#axis.update(begin, end, task.steps.length > 0);
    const isSame = task.steps.length === this.#rows.size && task.steps.every((step) => this.#rows.has(step.id));
    if (!isSame) {
      this.#rows = new Map(task.steps.map((step) => [step.id, new StepRow()]));
      this.#list.replaceChildren(...[...this.#rows.values()].map((row) => row.element));
    }
    for (const step of task.steps) this.#rows.get(step.id).update(step, { begin, end, now });
    this.#showFold(task.steps);
  }

  #steps = [];

  #showFold(steps = this.#steps) {
    this.#steps = steps;
    const first = steps.findIndex(({ status }) => !ENDED.has(status));
    const before = steps.slice(0, first < 0 ? 0 : Math.max(0, first - KEPT));
    const isFoldable = before.length >= FOLDED_FROM;
    const isFolded = isFoldable && !this.#isUnfolded;
    steps.forEach(({ id }, i) => {
      this.#rows.get(id).element.hidden = isFolded && i < before.length;
    });
    this.#fold.hidden = !isFoldable;
    setAttribute(this.#fold, "aria-expanded", String(!isFolded));
    const failed = before.filter(({ status }) => status === "failed").length;
    const parts = [t("steps.folded.done", { n: count(before.length - failed) })];
    if (failed) parts.push(t("steps.folded.failed", { n: count(failed) }));
    setText(this.#foldText, parts.join(" · "));
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
