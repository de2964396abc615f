/** How far something has come in the agent's own count: "318 of 2,480 files", with a bar where the end is known. */

import { h, setAttribute, setText } from "./element.js";
import { count, t } from "../texts/i18n.js";

/** A bar and its words; `update` shows a measure (`{done, total, unit}`), or hides both where there is none. */
export class MeasureBar {
  #done = h("span", { class: "measure-done" });
  #bar = h("span", { class: "measure-bar", role: "progressbar", "aria-valuemin": "0" }, this.#done);
  #words = h("bdi", { class: "measure-words" });

  element = h("div", { class: "measure", hidden: true }, this.#bar, this.#words);

  update(measure) {
    this.element.hidden = measure === null;
    if (measure === null) return;
    const words = measureText(measure);
    setText(this.#words, words);
    const hasEnd = (measure.total ?? 0) > 0;
    this.#bar.hidden = !hasEnd;
    if (!hasEnd) return;
    setAttribute(this.#bar, "aria-label", t("measure.label"));
    setAttribute(this.#bar, "aria-valuemax", measure.total);
    setAttribute(this.#bar, "aria-valuenow", Math.min(measure.done, measure.total));
    setAttribute(this.#bar, "aria-valuetext", words);
    this.#done.style.width = `${Math.min(100, (100 * measure.done) / measure.total).toFixed(1)}%`;
  }
}

/** A measure in words. */
export function measureText({ done, total, unit }) {
  const values = { done: count(done), total: count(total ?? 0), unit: unit ?? "" };
  return t((total ?? null) === null ? "measure.open" : "measure.of", values).trim();
}
