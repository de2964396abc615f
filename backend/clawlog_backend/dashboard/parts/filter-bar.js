/** The filters with their counts, and the search field. Filters are links: they can be shared and opened in a tab. */

import { at } from "../api/address.js";
import { h, setAttribute, setText } from "./element.js";
import { count, t } from "../texts/i18n.js";
import { icon } from "./icons.js";
import { FILTERS } from "../api/store.js";

/** A pause in typing that counts as "now search". */
const TYPING_PAUSE_MS = 250;

/** The first filters answer the first questions (what runs, what needs attention, what is being stopped) and are large. */
const LARGE = 3;

/** The address of the list with that filter and search. */
export function listAddress({ filter, q }) {
  const query = new URLSearchParams();
  if (filter !== "all") query.set("status", filter);
  if (q) query.set("q", q);
  const text = query.toString();
  return at(text ? `/?${text}` : "/");
}

export class FilterBar {
  #q = "";
  #links = new Map();
  #timer = null;
  #search = h("input", {
    type: "search", id: "search", autocomplete: "off", spellcheck: "false", dir: "auto", maxlength: 200,
    placeholder: t("list.search.placeholder"), "aria-label": t("list.search"),
  });

  element;

  /** `onSearch(q)` is called when the reader pauses in typing. */
  constructor({ onSearch }) {
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => onSearch(this.#search.value.trim()), TYPING_PAUSE_MS);
    });
    for (const filter of FILTERS) {
      const number = h("span", { class: "filter-count" });
      const name = h("span", { class: "filter-name" }, t(`filter.${filter}`));
      const link = h("a", { class: "filter", "data-filter": filter }, number, name);
      this.#links.set(filter, { link, number });
    }
    const links = FILTERS.map((filter) => this.#links.get(filter).link);
    this.element = h(
      "div",
      { class: "filter-bar" },
      h(
        "nav",
        { "aria-label": t("list.filters"), class: "filters" },
        h("div", { class: "filters-large" }, links.slice(0, LARGE)),
        h("div", { class: "filters-small" }, links.slice(LARGE)),
      ),
      h("div", { class: "search", role: "search" }, icon("search"), this.#search),
    );
  }

  /** Marks the filter in use, and points every filter at its address with the search kept. */
  select({ filter, q }) {
    this.#q = q;
    if (document.activeElement !== this.#search) this.#search.value = q;
    for (const [name, { link }] of this.#links) {
      // A second press on a filter shows all again.
      setAttribute(link, "href", listAddress({ filter: name === filter ? "all" : name, q: this.#q }));
      setAttribute(link, "aria-current", name === filter ? "true" : null);
    }
  }

  /** Shows how many tasks each filter has; null where that is not known yet. */
  showCounts(counts) {
    for (const [name, { link, number }] of this.#links) {
      const n = counts[name] ?? null;
      setText(number, n === null ? "–" : count(n));
      setAttribute(link, "data-empty", n === 0);
    }
  }

  focusSearch() {
    this.#search.focus();
    this.#search.select();
  }
}
