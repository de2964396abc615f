/** What is known of a task last: the quiet column beside its state, and both ages in full. */

import { STAGES } from "./receipts.js";
import { hasEnded, lastSign, stateOf, stopStage } from "../api/states.js";
import { t } from "../texts/i18n.js";
import { when } from "../texts/time.js";

/** The latest evidence as `{time, text}`. */
export function evidence(task, now) {
  const { agentSeenAt, vouchedAt, state } = task.liveness;
  switch (stateOf(task)) {
    case "waiting":
      return said("evidence.asked", task.waitingSince ?? task.updatedAt, now);
    case "lost":
      return said("evidence.last", lastSign(task), now);
    case "stopping":
      return stopping(task.stop, now);
    case "stale":
      return state === "stalled" ? said("evidence.report", agentSeenAt, now) : said("evidence.last", lastSign(task), now);
    case "running":
      return agentSeenAt === null ? said("evidence.last", vouchedAt ?? task.updatedAt, now) : said("evidence.report", agentSeenAt, now);
    default:
      return said("evidence.ended", task.endedAt ?? task.updatedAt, now);
  }
}

/** The ages of the agent's last report and of its last heartbeat, and on what evidence; empty once the task has ended. */
export function ages(task, now) {
  if (hasEnded(task)) return [];
  const { agentSeenAt, evidence: kind, pid, vouchedAt } = task.liveness;
  const lines = [];
  if (agentSeenAt !== null) lines.push({ time: agentSeenAt, text: t("evidence.report", { when: when(agentSeenAt, now) }) });
  if (vouchedAt === null) return lines;
  const key = kind !== "process" ? "evidence.heartbeat" : pid ? "evidence.process.pid" : "evidence.process";
  return [...lines, { time: vouchedAt, text: t(key, { when: when(vouchedAt, now), pid }) }];
}

function stopping(stop, now) {
  const times = [stop.requestedAt, stop.seenAt, stop.deliveredAt, stop.acknowledgedAt];
  const stage = stopStage(stop);
  const time = times[STAGES.indexOf(stage)];
  return { time, text: `${t(`receipt.${stage}`)} ${when(time, now)}` };
}

function said(key, time, now) {
  return { time, text: t(key, { when: when(time, now) }) };
}
