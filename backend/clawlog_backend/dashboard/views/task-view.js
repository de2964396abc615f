/** The page of one task: what it does now, first. Its address can be shared. */

import { at } from "../api/address.js";
import { getTask, listEvents } from "../api/api.js";
import { REPORTS } from "../api/history.js";
import { readEvent, readTask, withSign } from "../api/model.js";
import { CAN, isDead, needsAttention, stateOf, stopStage } from "../api/states.js";
import { openActionDialog } from "../parts/action-dialog.js";
import { h, setAttribute } from "../parts/element.js";
import { EventHistory } from "../parts/event-history.js";
import { Family } from "../parts/family.js";
import { showAttention } from "../parts/favicon.js";
import { HeartbeatStrip, STRIP_SPAN_MS } from "../parts/heartbeat-strip.js";
import { icon } from "../parts/icons.js";
import { MetadataCard } from "../parts/metadata-card.js";
import { notify } from "../parts/notifier.js";
import { Receipts } from "../parts/receipts.js";
import { StepTimeline } from "../parts/step-timeline.js";
import { TaskHead } from "../parts/task-head.js";
import { t } from "../texts/i18n.js";
import { clock } from "../texts/time.js";

/** How many events a task comes with, and how many one request for older ones asks for. */
const PAGE = 200;

/** How many heartbeats are fetched unasked to fill the strip. */
const BEATS = 500;

/** The change stream of a task says nothing of its parent and subtasks: they are asked for anew every so many seconds. */
const FAMILY_EVERY_S = 15;

export class TaskView {
  streamPath;

  #taskId;
  #announce;
  #task = null;
  #events = new Map();
  /** Before which event the history goes on; null where it does not. */
  #older = null;
  #error = null;
  #isOnline = true;
  #isOpen = false;
  #seconds = 0;

  #head = new TaskHead({ onAction: (action) => this.#act(action) });
  #family = new Family();
  #receipts = new Receipts();
  #steps = new StepTimeline();
  #strip = new HeartbeatStrip();
  #metadata;
  #history;
  #state = h("div", { class: "list-state" }, h("p", { class: "muted" }, t("task.loading")));
  #body;

  element;

  /** `announce(text)` has screen readers read the text. */
  constructor({ taskId, announce }) {
    this.#taskId = taskId;
    this.#announce = announce;
    this.streamPath = `/api/stream?${new URLSearchParams({ task_id: taskId })}`;
    this.#metadata = new MetadataCard({ taskId });
    this.#history = new EventHistory({ taskId, loadOlder: () => this.#loadOlder() });
    this.#body = h(
      "article",
      { class: "task", hidden: true },
      this.#head.element,
      h(
        "div",
        { class: "task-columns" },
        h("div", { class: "task-column" }, this.#steps.element, this.#history.element),
        h("div", { class: "task-column" }, this.#receipts.element, this.#strip.element, this.#metadata.element, this.#family.element),
      ),
    );
    this.element = h("div", { class: "task-page" }, h("a", { class: "back", href: at("/") }, icon("back"), t("task.back")), this.#state, this.#body);
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
    if (name === "reset" || (name === "hello" && (!data.isResumed || this.#error !== null))) void this.refresh();
    if (name === "task") {
      const known = this.#task;
      this.#takeIn({ ...readTask(data), parent: known?.parent ?? null, subtasks: known?.subtasks ?? [] });
      notify(known, this.#task);
    }
    if (name === "liveness" && this.#task !== null) this.#takeIn(withSign(this.#task, data));
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
      this.#error = null;
      this.#takeIn(readTask(json));
      if (isFirst && this.#events.size >= PAGE) await Promise.all([this.#loadOlder(), this.#fillStrip()]);
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

  /** Does what a key asks for; returns whether it asked for anything. */
  onKey(key) {
    if (this.#task === null) return false;
    const action = key === "s" ? "stop" : key === "e" ? (CAN.acknowledge(this.#task) ? "acknowledge" : "close") : null;
    if (action === null || !CAN[action](this.#task)) return false;
    this.#act(action);
    return true;
  }

  /** A second has passed. */
  tick() {
    this.#draw();
    this.#seconds += 1;
    const hasFamily = this.#task !== null && (this.#task.parent !== null || this.#task.subtasks.length > 0);
    const isSeen = this.#isOnline && document.visibilityState === "visible";
    if (hasFamily && isSeen && this.#seconds % FAMILY_EVERY_S === 0) void this.refresh();
  }

  #act(action) {
    openActionDialog(action, [this.#task], { onDone: () => this.refresh() });
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

  /** Loads the next page of what was reported. Heartbeats, of which there can be thousands between two reports, are left out. */
  async #loadOlder() {
    const page = await listEvents(this.#taskId, { before: this.#older, kinds: REPORTS, limit: PAGE });
    this.#older = page.next_before ?? null;
    this.#takeInEvents(page.events);
    this.#draw();
  }

  /** Fetches what is missing of the heartbeats in the time that the strip shows. */
  async #fillStrip() {
    const oldest = this.#events.values().next().value;
    if (oldest.at < clock.now() - STRIP_SPAN_MS) return;
    const page = await listEvents(this.#taskId, { before: oldest.seq, kinds: ["heartbeat"], limit: BEATS });
    this.#takeInEvents(page.events);
    this.#draw();
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
    setAttribute(this.#body, "data-status", stateOf(task));
    setAttribute(this.#body, "data-dead", isDead(task));
    this.#head.update(task, now);
    this.#receipts.update(task, now);
    this.#strip.update(task, events, now);
    this.#metadata.update(task);
    this.#family.update(task);
    this.#steps.update(task, now);
    this.#history.update(task, events, { hasOlder: this.#older !== null });
    const { done, total } = task.progress;
    const figures = total ? ` ${done}/${total}` : "";
    showAttention({
      attention: needsAttention(task, now) ? 1 : 0,
      isOnline: this.#isOnline,
      title: `${t(`status.${stateOf(task)}`)}${figures} – ${task.title}`,
    });
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
