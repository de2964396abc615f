/** A task's progress as a bar with one segment per step, so that one sees which step failed and which one runs. */

import { h, setAttribute, setText } from "./element.js";
import { t } from "../texts/i18n.js";

/** With more steps than this, neighbours of the same status share a segment. */
const MOST_SEGMENTS = 30;

/** What stands for the steps of a row, which are not known one by one. */
function ofRow({ currentStep, progress: { done, failed, total }, status }) {
  const isOpen = currentStep !== null && ["running", "unfinished"].includes(currentStep.status);
  const rest = total - done - failed - (isOpen ? 1 : 0);
  const parts = [["done", done], ["failed", failed], [currentStep?.status, isOpen ? 1 : 0], ["pending", rest]];
  const known = parts.filter(([, length]) => length > 0).map(([name, length]) => ({ status: name, length }));
  return known.length > 0 ? known : [{ status: status === "done" ? "done" : "pending", length: 1 }];
}

/** A bar and its figures; `update` shows a task. */
export class ProgressBar {
  #segments = h("span", { class: "segments" });
  #figures = h("span", { class: "figures", "aria-hidden": "true" });
  #drawn = null;

  element = h("div", { class: "progress", role: "img" }, this.#segments, this.#figures);

  update(task) {
    const { done, failed, total } = task.progress;
    const key = failed ? "list.steps.failed" : "list.steps";
    const label = total ? t(key, { done, total, failed }) : t("list.steps.none");
    setAttribute(this.element, "aria-label", label);
    setAttribute(this.element, "title", label);
    setText(this.#figures, total ? `${done}/${total}` : "–");
    this.#draw(task.hasSteps ? runs(task) : ofRow(task));
  }

  #draw(parts) {
    const drawn = parts.map(({ status, length }) => `${status}${length}`).join(" ");
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#segments.replaceChildren(
      ...parts.flatMap(({ status, length }) => {
        // Short runs are drawn step by step.
        if (length > 1 && parts.length < 5 && length <= 12) return Array.from({ length }, () => h("span", { class: "segment", "data-status": status }));
        const segment = h("span", { class: "segment", "data-status": status });
        segment.style.flexGrow = String(length);
        return segment;
      }),
    );
    setAttribute(this.#segments, "data-dense", parts.length > 12);
  }
}

function runs(task) {
  const statuses = task.steps.map((step) => step.status);
  if (statuses.length === 0) return [{ status: task.status === "done" ? "done" : "pending", length: 1 }];
  if (statuses.length <= MOST_SEGMENTS) return statuses.map((status) => ({ status, length: 1 }));
  const merged = [];
  for (const status of statuses) {
    const last = merged.at(-1);
    if (last?.status === status) last.length += 1;
    else merged.push({ status, length: 1 });
  }
  return merged;
}
