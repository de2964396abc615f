/**
 * The server's JSON, read once at the edge into the page's own shapes.
 *
 * Times become milliseconds (or null), names become camelCase, and what a server leaves out gets its empty value, so
 * that no other module has to ask whether a field is there.
 */

import { parseTime } from "../texts/time.js";

/** One task, as the list and the task page show it. */
export function readTask(json) {
  const hasEnded = parseTime(json.ended_at) !== null;
  const task = {
    id: json.task_id,
    parentId: json.parent_task_id ?? null,
    title: json.title,
    status: json.status,
    attention: json.attention ? readAttention(json.attention) : null,
    summary: json.summary ?? "",
    createdAt: parseTime(json.created_at),
    updatedAt: parseTime(json.updated_at),
    waitingSince: parseTime(json.waiting_since),
    endedAt: parseTime(json.ended_at),
    closed: json.closed ? { at: parseTime(json.closed.at), by: json.closed.by ?? "", summary: json.closed.summary ?? "" } : null,
    metadata: Object.entries(json.metadata ?? {}),
    links: (json.links ?? []).filter(({ url }) => isWebAddress(url)).map(({ url, name }) => ({ url, name: name ?? url })),
    measure: json.measure ?? null,
    progress: { done: 0, failed: 0, total: 0, ...json.progress },
    currentStep: json.current_step ? readStep(json.current_step, hasEnded) : null,
    steps: (json.steps ?? []).map((step) => readStep(step, hasEnded)),
    liveness: readLiveness(json.liveness ?? {}),
    stop: json.stop ? readStop(json.stop) : null,
    // A task of the change stream comes without these two.
    parent: json.parent ? readReference(json.parent) : null,
    subtasks: (json.subtasks ?? []).map(readReference),
    // Of a row, the steps are not known.
    hasSteps: json.steps !== undefined,
  };
  task.pairs = Object.fromEntries(task.metadata);
  task.haystack = haystack(task);
  return task;
}

/** The task after a sign of life, or a report of more of the same; what the message leaves out stays as it was. */
export function withSign(task, json) {
  const hasEnded = task.endedAt !== null;
  const changed = { ...task };
  if ("updated_at" in json) changed.updatedAt = Math.max(task.updatedAt, parseTime(json.updated_at));
  if ("summary" in json) changed.summary = json.summary ?? "";
  if ("measure" in json) changed.measure = json.measure;
  if ("current_step" in json) changed.currentStep = json.current_step && readStep(json.current_step, hasEnded);
  if ("liveness" in json) changed.liveness = readLiveness(json.liveness, task.liveness);
  changed.haystack = haystack(changed);
  return changed;
}

/** What a search looks through. */
function haystack({ id, title, summary, currentStep, liveness, metadata }) {
  const words = [id, title, summary, currentStep?.title, currentStep?.summary, liveness.reason, ...metadata.flat()];
  return words.join("\n").toLocaleLowerCase();
}

/** Nothing else is ever offered as a link, whatever a server sends. */
function isWebAddress(url) {
  try {
    return ["http:", "https:"].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}

function readReference(json) {
  return { id: json.task_id, title: json.title, status: json.status };
}

function readAttention(json) {
  return {
    reason: json.reason,
    since: parseTime(json.since),
    acknowledgedAt: parseTime(json.acknowledged_at),
    acknowledgedBy: json.acknowledged_by ?? "",
  };
}

/** A step that ran when its task ended was left unfinished: nothing runs there any more. */
function readStep(json, taskHasEnded) {
  return {
    id: json.step_id,
    position: json.position,
    title: json.title,
    status: taskHasEnded && json.status === "running" ? "unfinished" : json.status,
    summary: json.summary ?? "",
    startedAt: parseTime(json.started_at),
    endedAt: parseTime(json.ended_at),
    measure: json.measure ?? null,
  };
}

/** Whether the agent is alive; what is left out is as `before`, but that a heartbeat by itself is one more. */
function readLiveness(json, before = UNKNOWN) {
  return {
    state: json.state ?? before.state,
    agentSeenAt: "agent_seen_at" in json ? parseTime(json.agent_seen_at) : before.agentSeenAt,
    vouchedAt: "vouched_at" in json ? parseTime(json.vouched_at) : before.vouchedAt,
    evidence: "evidence" in json ? json.evidence : before.evidence,
    pid: "pid" in json ? json.pid : before.pid,
    reason: "reason" in json ? (json.reason ?? "") : before.reason,
    beats: json.beats ?? before.beats + ("vouched_at" in json ? 1 : 0),
  };
}

const UNKNOWN = { state: "unknown", agentSeenAt: null, vouchedAt: null, evidence: null, pid: null, reason: "", beats: 0 };

function readStop(json) {
  return {
    id: json.interrupt_id,
    reason: json.reason ?? "",
    requestedBy: json.requested_by ?? "",
    requestedAt: parseTime(json.requested_at),
    seenAt: parseTime(json.seen_at),
    deliveredAt: parseTime(json.delivered_at),
    acknowledgedAt: parseTime(json.acknowledged_at),
    answer: json.ack_summary ?? "",
  };
}

/** One entry of a task's history. */
export function readEvent(json) {
  return {
    seq: json.seq,
    kind: json.kind,
    at: parseTime(json.at),
    receivedAt: parseTime(json.received_at),
    stepId: json.step_id ?? null,
    status: json.status ?? null,
    summary: json.summary ?? json.reason ?? "",
    by: json.by ?? json.requested_by ?? "",
    title: json.kind === "step_added" ? json.title : "",
    link: json.kind === "link" && isWebAddress(json.url) ? { url: json.url, name: json.name ?? json.url } : null,
    pairs: json.kind === "metadata" ? Object.entries({ ...(json.title ? { title: json.title } : {}), ...json.metadata }) : [],
    plannedSteps: json.steps_total ?? null,
    measure: json.progress ?? null,
    agentSeenAt: parseTime(json.agent_seen_at),
    stalled: json.stalled === true,
    // A heartbeat in the history stands for those alike before it; how many is not known of old ones, which were all kept.
    beats: json.beats ?? null,
    gapSince: parseTime(json.gap_since),
  };
}
