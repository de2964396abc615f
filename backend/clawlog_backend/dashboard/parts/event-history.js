/** What happened to a task, newest first. Heartbeats are many and alike, and shown on request. */

import { h, setText } from "./element.js";
import { count, hasText, t } from "../texts/i18n.js";
import { measureText } from "./measure-bar.js";
import { webLink } from "./web-link.js";
import { absolute, day, duration, timeOfDay } from "../texts/time.js";

/** An event that reached the server this much later than it happened waited in an outbox: it is marked. */
const LATE_AFTER_MS = 10_000;

export class EventHistory {
  #shown = new Set();
  #list = h("ol", { class: "events" });
  #none = h("p", { class: "muted" }, t("history.none"));
  #checkbox = h("input", { type: "checkbox", id: "show-heartbeats" });
  #checkboxText = h("label", { for: "show-heartbeats" });
  #older;
  #error = h("p", { class: "form-error", role: "alert" });
  #last = { task: null, events: [] };

  element;

  /** `loadOlder()` brings in the events before the oldest; it may reject. */
  constructor({ loadOlder }) {
    this.#older = h("button", { type: "button", class: "button", click: () => this.#load(loadOlder) }, t("history.older"));
    this.#checkbox.addEventListener("change", () => {
      this.#shown.clear();
      this.#draw();
    });
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": "events-title" },
      h(
        "div",
        { class: "card-head" },
        h("h2", { id: "events-title" }, t("task.events")),
        h("span", { class: "checkbox" }, this.#checkbox, this.#checkboxText),
      ),
      this.#none,
      this.#list,
      this.#error,
      this.#older,
    );
  }

  /** Shows these events, which are in the order in which they happened. */
  update(task, events, { hasOlder }) {
    this.#last = { task, events };
    this.#older.hidden = !hasOlder;
    setText(this.#checkboxText, t("history.heartbeats", { n: count(events.filter(isBeat).length) }));
    this.#none.hidden = events.length > 0;
    this.#draw();
  }

  #draw() {
    const { task, events } = this.#last;
    const chosen = this.#checkbox.checked ? events : events.filter((event) => !isBeat(event));
    const isSame = chosen.length === this.#shown.size && chosen.every(({ seq }) => this.#shown.has(seq));
    if (isSame) return;
    this.#shown = new Set(chosen.map(({ seq }) => seq));
    const stepTitles = new Map(task.steps.map((step) => [step.id, step.title]));
    const nodes = [];
    let lastDay = null;
    for (const event of chosen.toReversed()) {
      const today = event.at === null ? lastDay : day(event.at);
      if (today !== lastDay) nodes.push(h("li", { class: "event-day" }, today));
      lastDay = today;
      nodes.push(line(event, stepTitles));
    }
    this.#list.replaceChildren(...nodes);
  }

  async #load(loadOlder) {
    this.#older.disabled = true;
    setText(this.#older, t("history.loading"));
    setText(this.#error, "");
    try {
      await loadOlder();
    } catch (error) {
      setText(this.#error, t("history.failed", { detail: error.message || t("error.network") }));
    } finally {
      this.#older.disabled = false;
      setText(this.#older, t("history.older"));
    }
  }
}

function isBeat({ kind }) {
  return kind === "heartbeat";
}

function line(event, stepTitles) {
  const { at, receivedAt, kind, status, summary, stepId, title, by } = event;
  const time = at === null ? null : h("time", { datetime: new Date(at).toISOString(), title: absolute(at) }, timeOfDay(at));
  const delay = at !== null && receivedAt !== null ? receivedAt - at : 0;
  const key = `event.${kind}`;
  return h(
    "li",
    { class: "event", "data-kind": kind, "data-status": status },
    h("span", { class: "event-time" }, time),
    h(
      "span",
      { class: "event-what" },
      h("span", { class: "event-kind" }, hasText(key) ? t(key) : kind),
      stepId ? h("bdi", { class: "event-step" }, title || (stepTitles.get(stepId) ?? stepId)) : null,
      status ? h("span", { class: "event-status", "data-status": status }, t(`status.${status}`)) : null,
      event.plannedSteps !== null ? h("span", { class: "event-summary" }, t("history.plan", { n: event.plannedSteps })) : null,
      event.measure !== null ? h("bdi", { class: "event-summary" }, measureText(event.measure)) : null,
      event.link !== null ? h("bdi", { class: "event-summary" }, webLink(event.link)) : null,
      event.pairs.map(([name, value]) => h("bdi", { class: "event-summary" }, value === null ? t("history.removed", { name }) : `${name}: ${value}`)),
      summary ? h("bdi", { class: "event-summary" }, summary) : null,
      by ? h("bdi", { class: "event-summary" }, t("receipt.by", { who: by })) : null,
      delay >= LATE_AFTER_MS ? h("span", { class: "event-late" }, t("history.late", { delay: duration(delay) })) : null,
    ),
  );
}
