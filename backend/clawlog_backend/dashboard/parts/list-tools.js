/** What narrows and arranges the list: the search, and by what it is grouped and sorted, and how far back it looks. */

import { h, setAttribute } from "./element.js";
import { icon } from "./icons.js";
import { GROUPS, RANGES, SORTS } from "../api/query.js";
import { t } from "../texts/i18n.js";

/** A pause in typing that counts as "now search". */
const TYPING_PAUSE_MS = 250;

/** What can be chosen, and how each choice is called. */
const CHOICES = [
  ["group", GROUPS, (value) => `${t("list.group")}: ${t(`group.${value}`)}`],
  ["sort", SORTS, (value) => `${t("list.sort")}: ${t(`sort.${value}`)}`],
  ["range", Object.keys(RANGES), (value) => t(`range.${value}`)],
];

export class ListTools {
  #timer = null;
  #search = h("input", {
    type: "search", id: "search", autocomplete: "off", spellcheck: "false", dir: "auto", maxlength: 200,
    placeholder: t("list.search.placeholder"), "aria-label": t("list.search"), "aria-keyshortcuts": "/",
  });
  #selects;

  element;

  /** `onChange(changes)` is called with what the reader changed of the query: `{q}`, `{group}`, `{sort}` or `{range}`. */
  constructor({ onChange }) {
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => onChange({ q: this.#search.value.trim() }), TYPING_PAUSE_MS);
    });
    this.#selects = new Map(CHOICES.map(([name, values, labelOf]) => {
      const options = values.map((value) => h("option", { value }, labelOf(value)));
      const select = h("select", { id: `list-${name}`, "aria-label": t(`list.${name}`) }, options);
      select.addEventListener("change", () => onChange({ [name]: select.value }));
      return [name, select];
    }));
    this.element = h(
      "div",
      { class: "list-tools" },
      h("div", { class: "search", role: "search" }, icon("search"), this.#search),
      h("div", { class: "tools" }, [...this.#selects.values()]),
    );
  }

  /** Shows the query in use. */
  select(query) {
    if (document.activeElement !== this.#search) this.#search.value = query.q;
    for (const [name, select] of this.#selects) {
      if (select.value !== query[name]) select.value = query[name];
      setAttribute(select, "data-changed", select.selectedIndex > 0);
    }
  }

  focusSearch() {
    this.#search.focus();
    this.#search.select();
  }
}
