/** What happened to a task, newest first: by kind, searched, repeats folded, and to be taken away as a file. */

import { TABS, chosen, lines } from "../api/history.js";
import { h, setAttribute, setText } from "./element.js";
import { downloadHistory } from "./history-download.js";
import { measureText } from "./measure-bar.js";
import { webLink } from "./web-link.js";
import { count, hasText, t } from "../texts/i18n.js";
import { absolute, day, duration, timeOfDay } from "../texts/time.js";

/** Lines beyond this are drawn on request. */
const LINES_AT_FIRST = 200;

export class EventHistory {
  #tab = "all";
  #drawn = "";
  #unfolded = new Set();
  #most = LINES_AT_FIRST;
  #list = h("ol", { class: "events" });
  #none = h("p", { class: "muted" });
  #tabs;
  #search = h("input", { type: "search", class: "history-search", "aria-label": t("history.search"), placeholder: t("history.search"), dir: "auto", maxlength: 200 });
  #checkbox = h("input", { type: "checkbox", id: "show-heartbeats" });
  #checkboxText = h("label", { for: "show-heartbeats" });
  #older;
  #error = h("p", { class: "form-error", role: "alert" });
  #last = { task: null, events: [], hasOlder: false };

  element;

  /** `loadOlder()` brings in the events before the oldest; it may reject. */
  constructor({ taskId, loadOlder }) {
    this.#older = h("button", { type: "button", class: "button", click: () => this.#run(this.#older, loadOlder) }, t("history.older"));
    this.#tabs = new Map(Object.keys(TABS).map((tab) => {
      const pick = () => {
        this.#tab = tab;
        this.#draw();
      };
      return [tab, h("button", { type: "button", class: "tab", click: pick }, t(`history.tab.${tab}`))];
    }));
    this.#checkbox.addEventListener("change", () => this.#draw());
    this.#search.addEventListener("input", () => this.#draw());
    const downloads = ["json", "csv"].map((format) => {
      const button = h("button", { type: "button", class: "link-button", "aria-label": `${t("history.download")} ${format.toUpperCase()}` }, format.toUpperCase());
      button.addEventListener("click", () => this.#run(button, () => downloadHistory(taskId, format)));
      return button;
    });
    this.element = h(
      "section",
      { class: "card history", "aria-labelledby": "events-title" },
      h(
        "div",
        { class: "card-head" },
        h("h2", { id: "events-title" }, t("task.events")),
        h("div", { class: "tabs", role: "group", "aria-label": t("history.tabs") }, [...this.#tabs.values()]),
        this.#search,
        h("span", { class: "checkbox" }, this.#checkbox, this.#checkboxText),
        h("span", { class: "downloads" }, h("span", { class: "muted" }, t("history.download")), downloads),
      ),
      this.#none,
      this.#list,
      this.#error,
      this.#older,
    );
  }

  /** Shows these events, which are in the order in which they happened. */
  update(task, events, { hasOlder }) {
    this.#last = { task, events, hasOlder };
    setText(this.#checkboxText, t("history.heartbeats", { n: count(events.filter(({ kind }) => kind === "heartbeat").length) }));
    this.#draw();
  }

  #draw() {
    const { task, events, hasOlder } = this.#last;
    const hasBeats = this.#checkbox.checked;
    const drawn = [events.length, events.at(-1)?.seq, events[0]?.seq, this.#tab, this.#search.value, hasBeats, this.#most, [...this.#unfolded]].join(" ");
    for (const [tab, button] of this.#tabs) setAttribute(button, "aria-pressed", String(tab === this.#tab));
    this.#older.hidden = !hasOlder;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const titles = new Map(task.steps.map((step) => [step.id, step.title]));
    const titleOf = ({ title, stepId }) => title || (titles.get(stepId) ?? stepId ?? "");
    const found = chosen(events, { tab: this.#tab, words: this.#search.value.trim(), hasBeats, titleOf });
    this.#none.hidden = found.length > 0;
    setText(this.#none, t(events.length === 0 ? "history.none" : "history.none.found"));
    const shown = lines(found);
    const nodes = [];
    let lastDay = null;
    for (const each of shown.slice(0, this.#most)) {
      const today = each.event.at === null ? lastDay : day(each.event.at);
      if (today !== lastDay) nodes.push(h("li", { class: "event-day" }, today));
      lastDay = today;
      nodes.push(...this.#nodes(each, titleOf));
    }
    if (shown.length > this.#most) nodes.push(h("li", {}, h("button", { type: "button", class: "button small", click: () => this.#showMore() }, t("history.more", { n: count(shown.length - this.#most) }))));
    this.#list.replaceChildren(...nodes);
  }

  #nodes({ event, repeats, late }, titleOf) {
    if (repeats.length === 0) return [line(event, titleOf(event), { late })];
    const isOpen = this.#unfolded.has(event.seq) || repeats.some(({ seq }) => this.#unfolded.has(seq));
    const n = count(repeats.length + 1);
    const toggle = () => this.#toggle([event, ...repeats], isOpen);
    const fold = h("button", { type: "button", class: "repeats", "aria-expanded": String(isOpen), "aria-label": t("history.repeats.label", { n }), click: toggle }, t("history.repeats", { n }));
    const first = line(event, titleOf(event), { late, fold });
    return isOpen ? [first, ...repeats.slice(0, LINES_AT_FIRST).map((each) => line(each, titleOf(each), { isRepeat: true }))] : [first];
  }

  #toggle(events, isOpen) {
    if (isOpen) for (const { seq } of events) this.#unfolded.delete(seq);
    else this.#unfolded.add(events.at(-1).seq);
    this.#draw();
  }

  #showMore() {
    this.#most += LINES_AT_FIRST;
    this.#draw();
  }

  async #run(button, action) {
    const text = button.textContent;
    button.disabled = true;
    setText(button, t("history.loading"));
    setText(this.#error, "");
    try {
      await action();
    } catch (error) {
      setText(this.#error, t("history.failed", { detail: error.message || t("error.network") }));
    } finally {
      button.disabled = false;
      setText(button, text);
    }
  }
}

function line(event, title, { late = null, fold = null, isRepeat = false }) {
  const { at, kind, status, summary, stepId, by } = event;
  const time = at === null ? null : h("time", { datetime: new Date(at).toISOString(), title: absolute(at) }, timeOfDay(at));
  const key = `event.${kind}`;
  return h(
    "li",
    { class: "event", "data-kind": kind, "data-status": status, "data-repeat": isRepeat },
    h("span", { class: "event-time" }, time),
    h(
      "span",
      { class: "event-what" },
      h("span", { class: "event-kind" }, hasText(key) ? t(key) : kind),
      stepId ? h("bdi", { class: "event-step" }, title) : null,
      status ? h("span", { class: "event-status", "data-status": status }, t(`status.${status}`)) : null,
      event.plannedSteps !== null ? h("span", { class: "event-summary" }, t("history.plan", { n: event.plannedSteps })) : null,
      event.measure !== null ? h("bdi", { class: "event-summary" }, measureText(event.measure)) : null,
      event.link !== null ? h("bdi", { class: "event-summary" }, webLink(event.link)) : null,
      event.pairs.map(([name, value]) => h("bdi", { class: "event-summary" }, value === null ? t("history.removed", { name }) : `${name}: ${value}`)),
      summary ? h("bdi", { class: "event-summary" }, summary) : null,
      by ? h("bdi", { class: "event-summary" }, t("receipt.by", { who: by })) : null,
      fold,
      late === null ? null : h("span", { class: "event-late" }, lateText(late)),
    ),
  );
}

function lateText({ n, delay }) {
  const values = { n: count(n), delay: duration(delay) };
  return n === 1 ? t("history.late", values) : t("history.late.run", values);
}
