/** The page of one task. Its address can be shared. */

import { at } from "../api/address.js";
import { getTask, listEvents } from "../api/api.js";
import { openActionDialog } from "../parts/action-dialog.js";
import { h, setAttribute, setText } from "../parts/element.js";
import { EventHistory } from "../parts/event-history.js";
import { showAttention } from "../parts/favicon.js";
import { Family } from "../parts/family.js";
import { HeartbeatStrip, STRIP_SPAN_MS } from "../parts/heartbeat-strip.js";
import { t } from "../texts/i18n.js";
import { icon } from "../parts/icons.js";
import {
  attentionAt, canAcknowledge, canClose, canStop, clockEnd, hasEnded, isDead, stopStage, unreportedSteps,
} from "../api/liveness.js";
import { readEvent, readTask } from "../api/model.js";
import { MeasureBar } from "../parts/measure-bar.js";
import { ProgressBar } from "../parts/progress-bar.js";
import { Receipts } from "../parts/receipts.js";
import { StatusBadge, labelAt } from "../parts/status-badge.js";
import { StepTimeline } from "../parts/step-timeline.js";
import { webLink } from "../parts/web-link.js";
import { age, clock, duration, setTime, timeElement } from "../texts/time.js";

/** How many events one request for older ones asks for. */
const PAGE = 200;

/** How many pages are fetched unasked to fill the heartbeat strip. */
const MOST_PAGES_FOR_STRIP = 3;

/** The change stream of a task says nothing of its parent and subtasks: they are asked for anew every so many seconds. */
const FAMILY_EVERY_S = 15;

const ACTIONS = ["stop", "acknowledge", "close"];
const ACTION_ICONS = { stop: "stopping", close: "close", acknowledge: "acknowledge" };

/** Reasons for attention that the task's status says already. */
const SAID_BY_STATUS = new Set([null, "failed", "waiting"]);

export class TaskView {
  streamPath;

  #taskId;
  #announce;
  #task = null;
  #events = new Map();
  #hasOlder = false;
  #pagesForStrip = 0;
  #error = null;
  #isOnline = true;
  #isOpen = false;
  #shown = { metadata: "", links: "" };

  #badge = new StatusBadge();
  #title = h("h1", { dir: "auto" });
  #attention = h("span", { class: "attention-reason" });
  #created = timeElement();
  #elapsed = h("span");
  #copied = h("span", { role: "status" });
  #copy;
  #summary = h("p", { class: "task-summary", dir: "auto" });
  #note = h("p", { class: "task-note muted", dir: "auto" });
  #links = h("ul", { class: "links", "aria-label": t("task.links") });
  #family = new Family();
  #seconds = 0;
  #metadata = h("dl", { class: "metadata" });
  #progress = new ProgressBar();
  #measure = new MeasureBar();
  #buttons;
  #receipts = new Receipts();
  #steps = new StepTimeline();
  #strip = new HeartbeatStrip();
  #history = new EventHistory({ loadOlder: () => this.#loadOlder() });
  #state = h("div", { class: "list-state" }, h("p", { class: "muted" }, t("task.loading")));
  #body;

  element;

  /** `announce(text)` has screen readers read the text. */
  constructor({ taskId, announce }) {
    this.#taskId = taskId;
    this.#announce = announce;
    this.streamPath = `/api/stream?${new URLSearchParams({ task_id: taskId })}`;
    this.#buttons = new Map(ACTIONS.map((action) => [action, this.#makeButton(action)]));
    this.#copy = h("button", { type: "button", class: "button small", click: () => this.#copyLink() }, icon("link"), t("task.copy"));
    // Browsers give the clipboard to pages from this machine or over HTTPS alone.
    this.#copy.hidden = !navigator.clipboard;
    this.#body = h(
      "article",
      { class: "task", hidden: true },
      h(
        "header",
        { class: "task-head card" },
        h(
          "div",
          { class: "task-head-main" },
          h("div", { class: "task-facts" }, this.#badge.element, this.#attention, this.#elapsed, this.#created),
          this.#title,
          this.#summary,
          this.#note,
          this.#progress.element,
          this.#measure.element,
          this.#links,
        ),
        h("div", { class: "task-actions" }, [...this.#buttons.values()]),
        h(
          "div",
          { class: "task-foot" },
          h("span", { class: "muted" }, `${t("task.id")} `, h("code", {}, taskId)),
          this.#metadata,
          h("span", { class: "copy" }, this.#copied, this.#copy),
        ),
      ),
      this.#receipts.element,
      this.#family.element,
      this.#strip.element,
      this.#steps.element,
      this.#history.element,
    );
    this.element = h(
      "div",
      { class: "task-page" },
      h("a", { class: "back", href: at("/") }, icon("back"), t("task.back")),
      this.#state,
      this.#body,
    );
  }

  open() {
    this.#isOpen = true;
    window.scrollTo(0, 0);
    this.#draw();
  }

  close() {
    this.#isOpen = false;
  }

  /** Takes an event of the change stream. */
  onEvent(name, data) {
    if (name === "hello" || name === "reset") void this.refresh();
    if (name === "task") this.#takeIn({ ...readTask(data), parent: this.#task?.parent ?? null, subtasks: this.#task?.subtasks ?? [] });
    if (name === "event") {
      this.#takeInEvents([data]);
      this.#draw();
    }
  }

  /** Brings what is shown up to date; resolves with whether that worked. */
  async refresh() {
    try {
      const json = await getTask(this.#taskId);
      const isFirst = this.#events.size === 0;
      this.#takeInEvents(json.events ?? []);
      if (isFirst) this.#hasOlder = this.#events.size >= PAGE;
      this.#error = null;
      this.#takeIn(readTask(json));
      await this.#fillStrip();
    } catch (error) {
      this.#error = error;
      this.#draw();
    }
    return this.#error === null;
  }

  /** The server refused the stream of this task. */
  onRefused(error) {
    this.#error = error;
    this.#draw();
  }

  /** The connection came or went. */
  onConnection(isOnline) {
    this.#isOnline = isOnline;
    setAttribute(this.element, "data-offline", !isOnline);
    this.#draw();
  }

  /** A second has passed. */
  tick() {
    this.#draw();
    this.#seconds += 1;
    const hasFamily = this.#task !== null && (this.#task.parent !== null || this.#task.subtasks.length > 0);
    const isSeen = this.#isOnline && document.visibilityState === "visible";
    if (hasFamily && isSeen && this.#seconds % FAMILY_EVERY_S === 0) void this.refresh();
  }

  #makeButton(action) {
    const kind = action === "stop" ? "danger" : action === "close" ? "outline" : "";
    const open = () => openActionDialog(action, this.#task, { onDone: () => this.refresh() });
    const attributes = { type: "button", class: `button ${kind} task-action`, "data-action": action, click: open };
    return h("button", attributes, icon(ACTION_ICONS[action]), t(`action.${action}`));
  }

  #takeIn(task) {
    const before = this.#task;
    this.#task = task;
    const stage = task.stop && stopStage(task.stop);
    if (before !== null && stage && stage !== (before.stop && stopStage(before.stop))) {
      this.#announce(t("receipt.progress", { stage: t(`receipt.${stage}`) }));
    }
    this.#draw();
  }

  #takeInEvents(list) {
    for (const event of list.map(readEvent)) this.#events.set(event.seq, event);
    this.#events = new Map([...this.#events].sort(([a], [b]) => a - b));
  }

  #oldest() {
    return this.#events.keys().next().value ?? 1;
  }

  async #loadOlder() {
    const page = await listEvents(this.#taskId, { before: this.#oldest(), limit: PAGE });
    this.#hasOlder = page.next_before !== null;
    this.#takeInEvents(page.events);
    this.#draw();
  }

  /** Fetches what is missing of the time that the strip shows. */
  async #fillStrip() {
    while (this.#hasOlder && this.#pagesForStrip < MOST_PAGES_FOR_STRIP) {
      const oldest = this.#events.values().next().value;
      if (oldest.at < clock.now() - STRIP_SPAN_MS) return;
      this.#pagesForStrip += 1;
      await this.#loadOlder();
    }
  }

  async #copyLink() {
    await navigator.clipboard.writeText(window.location.href);
    setText(this.#copied, t("task.copied"));
    setTimeout(() => setText(this.#copied, ""), 2000);
  }

  #draw() {
    if (!this.#isOpen) return;
    this.#body.hidden = this.#task === null;
    this.#state.hidden = this.#task !== null;
    if (this.#task === null) {
      this.#showState();
      return;
    }
    const now = clock.now();
    const task = this.#task;
    const events = [...this.#events.values()];
    this.#showHead(task, now);
    this.#receipts.update(task, now);
    this.#strip.update(task, events, now);
    this.#family.update(task);
    this.#steps.update(task, now);
    this.#history.update(task, events, { hasOlder: this.#hasOlder });
    const { done, total } = task.progress;
    const figures = total ? ` ${done}/${total}` : "";
    showAttention({
      attention: attentionAt(task, now) === null ? 0 : 1,
      isOnline: this.#isOnline,
      title: `${t(`status.${labelAt(task, now)}`)}${figures} – ${task.title}`,
    });
  }

  #showHead(task, now) {
    const attention = attentionAt(task, now);
    setAttribute(this.#body, "data-status", labelAt(task, now));
    setAttribute(this.#body, "data-attention", attention);
    setAttribute(this.#body, "data-dead", isDead(task));
    this.#badge.show(labelAt(task, now));
    setText(this.#attention, SAID_BY_STATUS.has(attention) ? "" : t(`attention.${attention}`));
    setText(this.#title, task.title);
    setText(this.#summary, task.summary);
    this.#summary.hidden = task.summary === "";
    setAttribute(this.#summary, "data-question", task.status === "waiting");
    const note = noteOn(task, now);
    setText(this.#note, note);
    this.#note.hidden = note === "";
    this.#progress.update(task);
    this.#measure.update(task.measure);
    this.#showLinks(task);
    const possible = { stop: canStop(task), close: canClose(task, now), acknowledge: canAcknowledge(task) };
    for (const [action, button] of this.#buttons) {
      button.hidden = !possible[action];
      setAttribute(button, "aria-label", t(`action.named.${action}`, { title: task.title }));
    }
    setTime(this.#created, task.createdAt, t("task.created", { age: age(now - task.createdAt) }));
    const key = hasEnded(task) || isDead(task) ? "task.ran" : "task.running";
    setText(this.#elapsed, t(key, { duration: duration(clockEnd(task, now) - task.createdAt) }));
    if (this.#shown.metadata !== JSON.stringify(task.metadata)) {
      this.#shown.metadata = JSON.stringify(task.metadata);
      this.#metadata.replaceChildren(
        ...task.metadata.map(([name, value]) => h("div", {}, h("dt", { dir: "auto" }, name), h("dd", { dir: "auto" }, String(value)))),
      );
    }
  }

  #showLinks(task) {
    this.#links.hidden = task.links.length === 0;
    if (this.#shown.links === JSON.stringify(task.links)) return;
    this.#shown.links = JSON.stringify(task.links);
    this.#links.replaceChildren(...task.links.map((link) => h("li", {}, icon("link"), webLink(link))));
  }

  #showState() {
    if (this.#error === null) return;
    const isMissing = this.#error.status === 404;
    const detail = this.#error.message || t("error.network");
    this.#state.replaceChildren(
      h("h1", {}, isMissing ? t("task.missing") : t("task.failed", { detail })),
      h("p", { class: "muted" }, isMissing ? t("task.missing.hint") : ""),
    );
    showAttention({ attention: 0, isOnline: this.#isOnline, title: isMissing ? t("task.missing") : t("list.title") });
  }
}

/** What else there is to know of how the task stands: who closed it, who has seen its failure, what was left out. */
function noteOn(task, now) {
  const { attention, closed, waitingSince } = task;
  const parts = [];
  if (task.status === "waiting" && waitingSince !== null) parts.push(t("liveness.asked", { age: age(now - waitingSince) }));
  if (closed !== null) parts.push(t(closed.by ? "task.closed.by" : "task.closed", { who: closed.by, age: age(now - closed.at) }));
  if (attention !== null && attention.acknowledgedAt !== null) {
    const key = attention.acknowledgedBy ? "task.seen.by" : "task.seen";
    parts.push(t(key, { who: attention.acknowledgedBy, age: age(now - attention.acknowledgedAt) }));
  }
  const unreported = unreportedSteps(task);
  if (unreported) parts.push(t("task.unreported", { n: unreported }));
  return parts.join(" · ");
}
