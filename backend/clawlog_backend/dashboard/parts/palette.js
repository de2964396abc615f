/** The palette: type a few letters of a task, a filter or a setting, and go there. */

import { at } from "../api/address.js";
import { openDialog } from "./dialog.js";
import { openDisplayDialog } from "./display-dialog.js";
import { h, setAttribute } from "./element.js";
import { openHelpDialog } from "./help-dialog.js";
import { icon } from "./icons.js";
import { nextSetting, setting } from "./settings.js";
import { FILTERS, GROUPS, listAddress } from "../api/query.js";
import { stateOf } from "../api/states.js";
import { languages, setLanguage, t } from "../texts/i18n.js";

const MOST = 9;

/** Opens it over these tasks; `navigate(address)` goes to another page of the dashboard. */
export function openPalette({ tasks, navigate }) {
  const commands = [...filters(navigate), ...switches()];
  const input = h("input", {
    type: "text", role: "combobox", class: "palette-input", autocomplete: "off", spellcheck: "false", autofocus: true, dir: "auto",
    "aria-label": t("palette.label"), "aria-expanded": "true", "aria-controls": "palette-list", "aria-autocomplete": "list", placeholder: t("palette.label"),
  });
  const list = h("ul", { id: "palette-list", role: "listbox", class: "palette-list", "aria-label": t("palette.results") });
  const none = h("p", { class: "muted palette-none", role: "status" });
  const dialog = openDialog({ class: "palette", "aria-label": t("palette.label") }, input, list, none);
  let shown = [];
  let chosen = 0;

  function show() {
    const words = input.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const fits = (text) => words.every((word) => text.includes(word));
    const found = words.length === 0 ? [] : tasks.filter(({ haystack }) => fits(haystack)).slice(0, MOST);
    shown = [...found.map(toTask), ...commands.filter(({ text }) => fits(text.toLocaleLowerCase()))].slice(0, MOST);
    chosen = 0;
    list.replaceChildren(...shown.map(({ text, note, mark }, i) =>
      h("li", { id: `palette-${i}`, role: "option", class: "palette-option", click: () => run(i) }, icon(mark), h("span", { dir: "auto" }, text), h("span", { class: "muted" }, note ?? "")),
    ));
    none.textContent = shown.length === 0 ? t("palette.none") : "";
    mark();
  }

  function mark() {
    [...list.children].forEach((option, i) => setAttribute(option, "aria-selected", String(i === chosen)));
    setAttribute(input, "aria-activedescendant", shown.length > 0 ? `palette-${chosen}` : null);
  }

  function toTask(task) {
    const state = stateOf(task);
    return { text: task.title, note: t(`status.${state}`), mark: state, run: () => navigate(at(`/tasks/${encodeURIComponent(task.id)}`)) };
  }

  function run(i) {
    if (shown[i] === undefined) return;
    dialog.close();
    shown[i].run();
  }

  input.addEventListener("input", show);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && shown.length > 0) {
      event.preventDefault();
      chosen = (chosen + step + shown.length) % shown.length;
      mark();
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(chosen);
    }
  });
  show();
}

function filters(navigate) {
  const name = (filter) => (["all", "attention", "active"].includes(filter) ? t(`filter.${filter}`) : t(`status.${filter}`));
  const to = (text, query, mark) => ({ text, mark, run: () => navigate(listAddress(query)) });
  return [
    ...FILTERS.map((filter) => to(t("palette.show", { what: name(filter) }), { filter }, filter)),
    ...GROUPS.map((group) => to(t("palette.group", { what: t(`group.${group}`) }), { group }, "task")),
  ];
}

function switches() {
  const toggles = ["theme", "density", "times"].map((name) => ({
    text: `${t(`display.${name}`)}: ${t(`display.${name}.${setting(name)}`)}`, note: t("palette.next"), mark: "gear", run: () => nextSetting(name),
  }));
  return [
    ...toggles,
    { text: t("display.title"), mark: "gear", run: openDisplayDialog },
    { text: t("help.title"), mark: "help", run: openHelpDialog },
    ...languages().map(([tag, name]) => ({ text: `${t("language.label")}: ${name}`, mark: "gear", run: () => setLanguage(tag) })),
  ];
}
