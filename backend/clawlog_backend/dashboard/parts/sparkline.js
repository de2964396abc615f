/** How many tasks began in each of the last 24 hours, and how many of those failed. */

import { h, setAttribute, svg } from "./element.js";
import { t } from "../texts/i18n.js";

const HOURS = 24;
const HOUR_MS = 3_600_000;
const BAR = 4;
const HEIGHT = 22;

export class Sparkline {
  #chart = svg("svg", { class: "sparkline", role: "img", viewBox: `0 0 ${HOURS * BAR} ${HEIGHT}`, preserveAspectRatio: "none" });
  #drawn = null;

  element = h("div", { class: "sparkline-frame" }, this.#chart, h("span", { class: "muted", "aria-hidden": "true" }, t("sparkline.unit")));

  update(tasks, now) {
    const begun = new Array(HOURS).fill(0);
    const failed = new Array(HOURS).fill(0);
    for (const { createdAt, status } of tasks) {
      const hour = HOURS - 1 - Math.floor((now - createdAt) / HOUR_MS);
      if (hour < 0 || hour >= HOURS) continue;
      begun[hour] += 1;
      if (status === "failed") failed[hour] += 1;
    }
    const drawn = `${begun} ${failed}`;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const most = Math.max(...begun);
    const total = begun.reduce((sum, n) => sum + n, 0);
    setAttribute(this.#chart, "aria-label", t("sparkline.label", { n: total, most, failed: failed.reduce((sum, n) => sum + n, 0) }));
    const bar = (name, n, i) => {
      const height = n === 0 ? 0.5 : Math.max(2, (HEIGHT * n) / most);
      return svg("rect", { class: name, x: i * BAR, y: HEIGHT - height, width: BAR - 1, height });
    };
    const failures = failed.flatMap((n, i) => (n > 0 ? [bar("failed", n, i)] : []));
    this.#chart.replaceChildren(svg("title", {}, this.#chart.getAttribute("aria-label")), ...begun.map((n, i) => bar("begun", n, i)), ...failures);
  }
}
