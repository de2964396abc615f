/**
 * A task's state at a given time: is it alive, does it need attention, is it being stopped?
 *
 * The server derives the same states, but sends a task only when something happens. Silence is when nothing happens, so
 * the page derives it by the same limits.
 */

/** Evidence older than this no longer shows a task to be alive: a heartbeat comes at the latest every 17 s. */
export const QUIET_AFTER_MS = 20_000;

/** A task in progress without a sign of life for this long is stale. */
const STALE_AFTER_MS = 60_000;

/** A stop that was not acknowledged for this long needs a person's attention. */
const STOP_OVERDUE_AFTER_MS = 120_000;

/** Whether the task has reached its end. */
export function hasEnded(task) {
  return task.endedAt !== null || ["done", "failed", "interrupted"].includes(task.status);
}

/** The task's status at `now`: what the server said, or `stale` once the silence has lasted too long. */
export function statusAt(task, now) {
  if (task.status !== "running" && task.status !== "pending") return task.status;
  const lastSign = Math.max(task.updatedAt, task.liveness.vouchedAt, task.liveness.agentSeenAt);
  return now - lastSign >= STALE_AFTER_MS ? "stale" : task.status;
}

/**
 * The liveness state at `now`: evidence turns `quiet` by the passing of time alone. A process is seen running at each
 * heartbeat; a command proves only that the agent was alive when it was given.
 */
export function livenessAt(task, now) {
  const { state, agentSeenAt, evidence, vouchedAt } = task.liveness;
  const evidenceAt = state === "alive" && evidence === "command" ? Math.min(vouchedAt, agentSeenAt) : vouchedAt;
  if ((state === "alive" || state === "stalled") && now - evidenceAt >= QUIET_AFTER_MS) {
    return task.status === "waiting" ? "waiting" : "quiet"; // nothing is expected of an agent that waits for a person
  }
  return state;
}

/** Whether the agent is known to be gone, with its task unfinished. */
export function isDead(task) {
  return !hasEnded(task) && task.liveness.state === "lost";
}

/** Up to when the task's clocks run: to its end; where its agent is gone, to the last sign of it; else to `now`. */
export function clockEnd(task, now) {
  if (hasEnded(task)) return task.endedAt ?? task.updatedAt;
  if (!isDead(task)) return now;
  return Math.max(task.createdAt, task.liveness.vouchedAt, task.liveness.agentSeenAt);
}

/** Whether a stop was requested and is not acknowledged yet. */
export function isStopping(task) {
  return task.stop !== null && task.stop.acknowledgedAt === null && !hasEnded(task);
}

/** Whether a person can ask the task to stop now: somebody has to be there to hear it. */
export function canStop(task) {
  return !hasEnded(task) && !isStopping(task) && !isDead(task);
}

/** Whether a person can end the task in its agent's place: nobody vouches for the agent. */
export function canClose(task, now) {
  if (hasEnded(task)) return false;
  return isDead(task) || livenessAt(task, now) === "waiting" || statusAt(task, now) === "stale";
}

/** Whether a person can say that it was seen that the task failed, or that its agent is gone. */
export function canAcknowledge(task) {
  return task.attention !== null && task.attention.reason !== "waiting" && task.attention.acknowledgedAt === null;
}

/** How many steps were not reported although the task is done. */
export function unreportedSteps(task) {
  return task.status === "done" ? task.progress.total - task.progress.done - task.progress.failed : 0;
}

/**
 * Why the task needs a person's attention (`waiting`, `failed`, `lost`, `stalled`, `stale`, `stop`), or null if it does
 * not. The first three are the server's word, and end by a person's; the others last as long as what they say.
 */
export function attentionAt(task, now) {
  if (task.attention !== null) return task.attention.acknowledgedAt === null ? task.attention.reason : null;
  if (hasEnded(task)) return null;
  const state = livenessAt(task, now);
  if (state === "stalled") return state;
  if (statusAt(task, now) === "stale") return "stale";
  if (isStopping(task) && now - task.stop.requestedAt >= STOP_OVERDUE_AFTER_MS) return "stop";
  return null;
}

/** How far the stop has come: `requested`, `seen`, `delivered` or `acknowledged`. */
export function stopStage(stop) {
  if (stop.acknowledgedAt !== null) return "acknowledged";
  if (stop.deliveredAt !== null) return "delivered";
  return stop.seenAt !== null ? "seen" : "requested";
}
