/**
 * How many tasks there are in each state: what needs a person first. Each count is a link that shows those tasks alone, so that
 * it can be shared and opened in a tab.
 */

import { h, setAttribute, setText } from "./element.js";
import { icon } from "./icons.js";
import { Sparkline } from "./sparkline.js";
import { listAddress } from "../api/query.js";
import { count, t } from "../texts/i18n.js";

/** What needs a person, and what does not. */
const SIDES = [["waiting", "failed", "lost", "stale"], ["running", "stopping", "interrupted", "done", "all"]];

export class CountsBar {
  #links = new Map();
  #sparkline = new Sparkline();

  element;

  constructor() {
    const sides = SIDES.map((filters) => h("div", { class: "counts-side" }, filters.map((filter) => this.#makeLink(filter))));
    this.element = h(
      "div",
      { class: "counts-bar" },
      h("nav", { "aria-label": t("list.filters"), class: "counts" }, sides),
      this.#sparkline.element,
    );
  }

  /** Marks the filter in use, and points every filter at its address with the rest of the query kept. */
  select(query) {
    for (const [name, { link }] of this.#links) {
      const isUsed = name === query.filter;
      // A second press on a filter shows all again.
      setAttribute(link, "href", listAddress({ ...query, filter: isUsed ? "all" : name }));
      setAttribute(link, "aria-current", isUsed ? "true" : null);
    }
  }

  /** Shows the counts of `countStates`, and when the tasks began; `isCut`: there are more that have ended. */
  show(counts, tasks, { isCut, now }) {
    for (const [name, { link, number, fresh }] of this.#links) {
      const n = counts[name];
      const isMore = isCut && ["failed", "interrupted", "done", "all"].includes(name);
      setText(number, count(n) + (isMore ? "+" : ""));
      setAttribute(link, "data-empty", n === 0);
      if (fresh === null) continue;
      setText(fresh, counts.new ? t("counts.new", { n: count(counts.new) }) : "");
      setAttribute(link, "data-new", counts.new > 0);
    }
    this.#sparkline.update(tasks, now);
  }

  #makeLink(filter) {
    const number = h("span", { class: "filter-count" });
    const fresh = filter === "failed" ? h("span", { class: "filter-new" }) : null;
    const link = h(
      "a",
      { class: "filter", "data-filter": filter, "data-status": filter },
      filter === "all" ? null : icon(filter),
      h("span", { class: "filter-name" }, t(filter === "all" ? "filter.all" : `status.${filter}`)),
      number,
      fresh,
    );
    this.#links.set(filter, { link, number, fresh });
    return link;
  }
}
