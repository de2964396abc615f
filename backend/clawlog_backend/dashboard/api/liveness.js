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

/** A failure needs attention for this long. */
const FAILURE_IS_RECENT_FOR_MS = 3_600_000;

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
  if ((state === "alive" || state === "stalled") && now - evidenceAt >= QUIET_AFTER_MS) return "quiet";
  return state;
}

/** Whether a stop was requested and is not acknowledged yet. */
export function isStopping(task) {
  return task.stop !== null && task.stop.acknowledgedAt === null && !hasEnded(task);
}

/** Whether a person can ask the task to stop now. */
export function canStop(task) {
  return !hasEnded(task) && !isStopping(task);
}

/** Why the task needs a person's attention (`failed`, `lost`, `stalled`, `stale`, `stop`), or null if it does not. */
export function attentionAt(task, now) {
  if (hasEnded(task)) {
    return task.status === "failed" && now - (task.endedAt ?? task.updatedAt) < FAILURE_IS_RECENT_FOR_MS ? "failed" : null;
  }
  const state = livenessAt(task, now);
  if (state === "lost" || state === "stalled") return state;
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
