/** The head of a task's page, which stays in sight: its state, its title, what it does now, and what a person can do. */

import { at } from "../api/address.js";
import { CAN, clockEnd, hasEnded, isDead, needsAttention, nowOf, stateOf, unreportedSteps } from "../api/states.js";
import { h, setAttribute, setText } from "./element.js";
import { evidence } from "./evidence.js";
import { icon } from "./icons.js";
import { MeasureBar } from "./measure-bar.js";
import { ProgressBar } from "./progress-bar.js";
import { StatusBadge } from "./status-badge.js";
import { ACTION_ICONS } from "./task-row.js";
import { webLink } from "./web-link.js";
import { t } from "../texts/i18n.js";
import { age, duration, setTime, timeElement, when } from "../texts/time.js";

const ACTIONS = ["stop", "acknowledge", "close"];
const KINDS = { stop: "danger", close: "outline", acknowledge: "" };

export class TaskHead {
  #badge = new StatusBadge();
  #title = h("h1", { dir: "auto" });
  #evidence = timeElement();
  #elapsed = h("span");
  #created = timeElement();
  #step = h("bdi", { class: "now-step" });
  #since = timeElement("muted");
  #said = h("bdi", { class: "now-said" });
  #now = h("p", { class: "task-now" }, h("span", { class: "label" }, t("task.now")), " ", this.#step, " ", this.#since, " ", this.#said);
  #summary = h("p", { class: "task-summary", dir: "auto" });
  #note = h("p", { class: "task-note muted", dir: "auto" });
  #progress = new ProgressBar();
  #measure = new MeasureBar();
  #links = h("ul", { class: "links", "aria-label": t("task.links") });
  #shownLinks = "";
  #buttons;

  element;

  /** `onAction(action)` is called when one of the buttons is pressed. */
  constructor({ onAction }) {
    this.#buttons = new Map(ACTIONS.map((action) => {
      const attributes = { type: "button", class: `button ${KINDS[action]} task-action`, "data-action": action, click: () => onAction(action) };
      return [action, h("button", attributes, icon(ACTION_ICONS[action]), t(`action.${action}`))];
    }));
    this.element = h(
      "header",
      { class: "task-head" },
      h(
        "div",
        { class: "task-head-main" },
        h("div", { class: "task-facts" }, this.#badge.element, this.#evidence, this.#elapsed, this.#created),
        this.#title,
        this.#now,
        this.#summary,
        this.#note,
        h("div", { class: "task-bars" }, this.#progress.element, this.#measure.element),
        this.#links,
      ),
      h("div", { class: "task-actions" }, [...this.#buttons.values()]),
    );
  }

  update(task, now) {
    const state = stateOf(task);
    setAttribute(this.element, "data-status", state);
    setAttribute(this.element, "data-dead", isDead(task));
    setAttribute(this.element, "data-attention", needsAttention(task, now));
    this.#badge.show(state);
    setText(this.#title, task.title);
    const { time, text } = evidence(task, now);
    setTime(this.#evidence, time, text);
    setTime(this.#created, task.createdAt, t("task.created", { when: when(task.createdAt, now) }));
    const length = duration(clockEnd(task, now) - task.createdAt);
    setText(this.#elapsed, t(hasEnded(task) || isDead(task) ? "task.ran" : "task.elapsed", { duration: length }));
    this.#showNow(task, now);
    const note = noteOn(task, now);
    setText(this.#note, note);
    this.#note.hidden = note === "";
    this.#progress.update(task);
    this.#measure.update(hasEnded(task) ? null : task.measure);
    this.#showLinks(task);
    for (const [action, button] of this.#buttons) {
      button.hidden = !CAN[action](task);
      setAttribute(button, "aria-label", t(`action.named.${action}`, { title: task.title }));
    }
  }

  #showNow(task, now) {
    const { step, words } = nowOf(task);
    const isOpen = !hasEnded(task) && step !== "";
    const since = isOpen ? (task.steps.find(({ id }) => id === task.currentStep?.id)?.startedAt ?? null) : null;
    this.#now.hidden = !isOpen;
    setText(this.#step, step);
    setTime(this.#since, since, since === null ? "" : t("task.since", { when: age(now - since) }));
    const isQuestion = task.status === "waiting";
    const said = isOpen && !isQuestion ? words : "";
    setText(this.#said, said === "" ? "" : `“${said}”`);
    const rest = isOpen ? (task.summary === said ? "" : task.summary) : [step, words].filter(Boolean).join(" · ");
    setText(this.#summary, rest);
    this.#summary.hidden = rest === "";
    setAttribute(this.#summary, "data-question", isQuestion);
  }

  #showLinks(task) {
    const parent = task.parent ?? null;
    const shown = JSON.stringify([task.links, parent, task.subtasks.length]);
    if (shown === this.#shownLinks) return;
    this.#shownLinks = shown;
    const nodes = task.links.map((link) => h("li", {}, icon("link"), webLink(link)));
    if (parent !== null) nodes.push(h("li", {}, h("span", { class: "muted" }, t("task.parent")), h("a", { href: at(`/tasks/${encodeURIComponent(parent.id)}`), dir: "auto" }, parent.title)));
    if (task.subtasks.length > 0) nodes.push(h("li", {}, h("a", { href: "#family-title" }, t("task.subtasks", { n: task.subtasks.length }))));
    this.#links.replaceChildren(...nodes);
    this.#links.hidden = nodes.length === 0;
  }
}

/** What else there is to know of how the task stands: who closed it, who has seen its failure, what was left out. */
function noteOn(task, now) {
  const { attention, closed } = task;
  const parts = [];
  if (closed !== null) parts.push(t(closed.by ? "task.closed.by" : "task.closed", { who: closed.by, when: when(closed.at, now) }));
  if (attention !== null && attention.acknowledgedAt !== null) {
    const key = attention.acknowledgedBy ? "task.seen.by" : "task.seen";
    parts.push(t(key, { who: attention.acknowledgedBy, when: when(attention.acknowledgedAt, now) }));
  }
  const unreported = unreportedSteps(task);
  if (unreported) parts.push(t("task.unreported", { n: unreported }));
  return parts.join(" · ");
}
