/** The two labels of a task's state: its status, and its liveness with both ages. Never colour alone. */

import { h, setAttribute, setText } from "./element.js";
import { t } from "../texts/i18n.js";
import { icon, setIcon } from "./icons.js";
import { hasEnded, isStopping, livenessAt, statusAt } from "../api/liveness.js";
import { age, setTime, timeElement } from "../texts/time.js";

/** What a task is labelled as at `now`: its status, or `stopping` while a stop is under way. */
export function labelAt(task, now) {
  return isStopping(task) ? "stopping" : statusAt(task, now);
}

/** A status as icon and word. */
export class StatusBadge {
  #icon = icon("pending");
  #word = h("span");

  element = h("span", { class: "badge" }, this.#icon, this.#word);

  /** Shows one of the statuses of tasks and steps, or `stopping`. */
  show(status) {
    setAttribute(this.element, "data-status", status);
    setIcon(this.#icon, status);
    setText(this.#word, t(`status.${status}`));
  }
}

/** A liveness pill, and beside it the ages of the agent's last report and of its last heartbeat. */
export class LivenessLabel {
  #word = h("span");
  #pill = h("span", { class: "pill" }, h("span", { class: "dot" }), this.#word);
  #reported = timeElement();
  #heartbeat = timeElement();

  element = h("div", { class: "liveness" }, this.#pill, h("div", { class: "ages" }, this.#reported, this.#heartbeat));

  update(task, now) {
    const state = hasEnded(task) ? "ended" : livenessAt(task, now);
    const { agentSeenAt, vouchedAt, reason } = task.liveness;
    setAttribute(this.#pill, "data-liveness", state);
    setAttribute(this.#pill, "title", reason || t(`liveness.explain.${state}`));
    setText(this.#word, t(`liveness.${state}`));
    if (state === "ended") {
      const endedAt = task.endedAt ?? task.updatedAt;
      setTime(this.#reported, endedAt, t("liveness.ended.at", { age: age(now - endedAt) }));
      setTime(this.#heartbeat, null);
      return;
    }
    if (state === "waiting") {
      setTime(this.#reported, task.waitingSince, t("liveness.asked", { age: age(now - task.waitingSince) }));
      setTime(this.#heartbeat, null);
      return;
    }
    setTime(this.#reported, agentSeenAt, t("liveness.reported", { age: age(now - agentSeenAt) }));
    setTime(this.#heartbeat, vouchedAt, heartbeatText(task.liveness, now));
  }
}

function heartbeatText({ vouchedAt, evidence, pid }, now) {
  const values = { age: age(now - vouchedAt), pid };
  if (evidence !== "process") return t("liveness.heartbeat", values);
  return t(pid ? "liveness.process.pid" : "liveness.process", values);
}
