/**
 * A task's state: one of eight, each with one word. What a person can do about it, and whether it waits for one.
 *
 * The server says when silence begins and ends (it sends the task then), so that nothing here goes by the clock but a stop
 * that nobody acknowledges.
 */

/** Heartbeats further apart than this leave a gap: one comes at the latest every 17 s. */
export const QUIET_AFTER_MS = 20_000;

/** A stop that was not acknowledged for this long needs a person's attention. */
const STOP_OVERDUE_AFTER_MS = 120_000;

/** The states, the most pressing first: what needs a person, what is under way, what has ended. */
export const STATES = Object.freeze(["waiting", "lost", "failed", "stale", "running", "stopping", "interrupted", "done"]);

const SILENT = new Set(["quiet", "stalled"]);
const ENDED = new Set(["done", "failed", "interrupted"]);

/** Whether the task has reached its end. */
export function hasEnded(task) {
  return task.endedAt !== null || ENDED.has(task.status);
}

/** The task's one state, of `STATES`. */
export function stateOf(task) {
  if (hasEnded(task)) return ENDED.has(task.status) ? task.status : "done";
  if (task.liveness.state === "lost") return "lost";
  if (isStopping(task)) return "stopping";
  if (task.status === "waiting") return "waiting";
  return task.status === "stale" || SILENT.has(task.liveness.state) ? "stale" : "running";
}

/** Whether the agent is known to be gone, with its task unfinished. */
export function isDead(task) {
  return !hasEnded(task) && task.liveness.state === "lost";
}

/** Up to when the task's clocks run: to its end; where its agent is gone, to the last sign of it; else to `now`. */
export function clockEnd(task, now) {
  if (hasEnded(task)) return task.endedAt ?? task.updatedAt;
  return isDead(task) ? lastSign(task) : now;
}

/** When the agent last gave a sign of life. */
export function lastSign(task) {
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
export function canClose(task) {
  if (hasEnded(task)) return false;
  return isDead(task) || task.liveness.state === "waiting" || task.status === "stale";
}

/** Whether a person can say that it was seen that the task failed, or that its agent is gone. */
export function canAcknowledge(task) {
  return isNew(task) && task.attention.reason !== "waiting";
}

/** What a person can do, by the name of the action. */
export const CAN = Object.freeze({ stop: canStop, close: canClose, acknowledge: canAcknowledge });

/** What a person most likely wants to do: stop it; if nobody is there to hear that, put it away. Null for nothing. */
export function usualAction(task) {
  if (canStop(task)) return "stop";
  if (isDead(task)) return "close";
  return canAcknowledge(task) ? "acknowledge" : null;
}

/** Whether the server says that the task needs a person, and nobody has acknowledged it. */
export function isNew(task) {
  return task.attention !== null && task.attention.acknowledgedAt === null;
}

/** Whether the task needs a person's attention. What a person has acknowledged does not, whatever time it is. */
export function needsAttention(task, now) {
  if (task.attention !== null) return isNew(task);
  const state = stateOf(task);
  return state === "stale" || (state === "stopping" && now - task.stop.requestedAt >= STOP_OVERDUE_AFTER_MS);
}

/** How pressing the task is, the most pressing first: 0 to 3 need a person. */
export function urgency(task, now) {
  const state = stateOf(task);
  if (needsAttention(task, now)) return Math.min(STATES.indexOf(state), 3);
  return hasEnded(task) ? 6 : state === "lost" ? 5 : 4;
}

/** How many steps were not reported although the task is done. */
export function unreportedSteps(task) {
  return task.status === "done" ? task.progress.total - task.progress.done - task.progress.failed : 0;
}

/** How far the stop has come: `requested`, `seen`, `delivered` or `acknowledged`. */
export function stopStage(stop) {
  if (stop.acknowledgedAt !== null) return "acknowledged";
  if (stop.deliveredAt !== null) return "delivered";
  return stop.seenAt !== null ? "seen" : "requested";
}

/** The step and the text that best say how the task stands. */
export function nowOf(task) {
  const { currentStep, liveness, stop, summary } = task;
  const state = stateOf(task);
  if (state === "failed") {
    const isItsOwn = currentStep?.status === "failed";
    return { step: isItsOwn ? currentStep.title : "", words: (isItsOwn && currentStep.summary) || summary };
  }
  if (state === "waiting") return { step: "", words: summary };
  if (hasEnded(task)) return { step: "", words: (state === "interrupted" && stop?.answer) || summary };
  const isLost = state === "lost" && liveness.reason !== "";
  return { step: currentStep?.title ?? "", words: isLost ? liveness.reason : currentStep?.summary || summary };
}
