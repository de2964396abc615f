/** The receipts of a stop: requested → seen → delivered → acknowledged, each with its time and its delay. */

import { h, setAttribute, setText } from "./element.js";
import { t } from "../texts/i18n.js";
import { icon } from "./icons.js";
import { hasEnded } from "../api/states.js";
import { age, duration, setTime, timeElement, timeOfDay } from "../texts/time.js";

/** The stages of a stop, in their order. */
export const STAGES = Object.freeze(["requested", "seen", "delivered", "acknowledged"]);

/** The receipts as a section of the task page. */
export class Receipts {
  #stages = STAGES.map((name) => new Stage(name));
  #reason = h("bdi");
  #reasonLine = h("p", { class: "receipt-words" }, h("span", { class: "label" }, t("receipt.reason")), " ", this.#reason);
  #answer = h("bdi");
  #answerLine = h("p", { class: "receipt-words" }, h("span", { class: "label" }, t("receipt.answer")), " ", this.#answer);
  #by = h("bdi", { class: "muted" });

  element = h(
    "section",
    { class: "card receipts", "aria-labelledby": "receipts-title" },
    h("div", { class: "card-head" }, h("h2", { id: "receipts-title" }, icon("stopping"), t("receipt.title")), this.#by),
    h("ol", { class: "stages" }, this.#stages.map((stage) => stage.element)),
    this.#reasonLine,
    this.#answerLine,
  );

  update(task, now) {
    const { stop } = task;
    this.element.hidden = stop === null;
    if (stop === null) return;
    const times = [stop.requestedAt, stop.seenAt, stop.deliveredAt, stop.acknowledgedAt];
    const next = times.findLastIndex((time) => time !== null) + 1;
    this.#stages.forEach((stage, i) => {
      stage.update({ time: times[i], since: stop.requestedAt, isNext: i === next, isOver: hasEnded(task) || i < next, now });
    });
    setText(this.#by, stop.requestedBy ? t("receipt.by", { who: stop.requestedBy }) : "");
    setText(this.#reason, stop.reason);
    this.#reasonLine.hidden = !stop.reason;
    setText(this.#answer, stop.answer);
    this.#answerLine.hidden = !stop.answer;
  }
}

class Stage {
  #name;
  #time = timeElement("stage-time");
  #note = h("span", { class: "stage-note" });

  constructor(name) {
    this.#name = name;
    this.element = h(
      "li",
      { class: "stage", "data-stage": name },
      h("span", { class: "stage-mark" }, icon("done")),
      h("span", { class: "stage-name" }, t(`receipt.${name}`)),
      h("span", { class: "stage-hint" }, t(`receipt.${name}.hint`)),
      this.#time,
      this.#note,
    );
  }

  update({ time, since, isNext, isOver, now }) {
    const hasCome = time !== null;
    const isAwaited = !hasCome && isNext && !isOver;
    setAttribute(this.element, "data-reached", hasCome);
    setAttribute(this.element, "data-awaited", isAwaited);
    setTime(this.#time, time, hasCome ? timeOfDay(time) : "");
    if (hasCome) setText(this.#note, this.#name === "requested" ? "" : t("receipt.delay", { delay: duration(time - since) }));
    else if (isAwaited) setText(this.#note, t("receipt.waiting", { age: age(now - since) }));
    else setText(this.#note, isOver ? t("receipt.never") : "");
  }
}
