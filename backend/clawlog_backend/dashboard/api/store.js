/** The tasks that the page knows: merged from the list and the change stream, and chosen for showing. No I/O, no DOM. */

import { RANGES } from "./query.js";
import { matches } from "./search.js";
import { STATES, hasEnded, isNew, needsAttention, stateOf } from "./states.js";

/** All known tasks by id. */
export class TaskStore {
  #tasks = new Map();

  get size() {
    return this.#tasks.size;
  }

  get(id) {
    return this.#tasks.get(id) ?? null;
  }

  clear() {
    this.#tasks.clear();
  }

  values() {
    return this.#tasks.values();
  }

  /** Takes in a task from the list; what the stream brought meanwhile is newer and stays. */
  offer(task) {
    const known = this.#tasks.get(task.id);
    if (known && isNewer(known, task)) return;
    this.#tasks.set(task.id, task);
  }

  /** Takes in a task from the stream, which is always the latest. */
  put(task) {
    this.#tasks.set(task.id, task);
  }

  /** The tasks of a time range that match a search: those under way, and those that need a person, however old they are. */
  inRange({ range, search, found, now }) {
    const span = RANGES[range];
    const since = span === null ? -Infinity : now - span;
    const chosen = [];
    for (const task of this.#tasks.values()) {
      const isShown = task.updatedAt >= since || !hasEnded(task) || isNew(task);
      if (isShown && matches(task, search, found)) chosen.push(task);
    }
    return chosen;
  }
}

/** The tasks among these that a filter shows. */
export function filtered(tasks, filter, now) {
  if (filter === "all") return tasks;
  if (filter === "attention") return tasks.filter((task) => needsAttention(task, now));
  if (filter === "active") return tasks.filter((task) => !hasEnded(task));
  return tasks.filter((task) => stateOf(task) === filter);
}

/** How many of these tasks there are in each state; `new`: failed ones that nobody has acknowledged; `attention`, `active`, `all`. */
export function countStates(tasks, now) {
  const counts = Object.fromEntries(["all", "attention", "active", "new", ...STATES].map((name) => [name, 0]));
  for (const task of tasks) {
    const state = stateOf(task);
    counts.all += 1;
    counts[state] += 1;
    if (state === "failed" && isNew(task)) counts.new += 1;
    if (!hasEnded(task)) counts.active += 1;
    if (needsAttention(task, now)) counts.attention += 1;
  }
  return counts;
}

/**
 * The counts of a list that the page knows only in part, made whole by what the server counted of all tasks (`null`: nothing yet).
 * What is under way or needs a person is listed in every time range, so that its counts hold in each; the others in `all` alone.
 */
export function withFleet(counts, fleet, range) {
  if (fleet === null) return counts;
  const names = range === "all" ? [...WHATEVER_RANGE, ...STATES, "all"] : WHATEVER_RANGE;
  const whole = Object.fromEntries(names.map((name) => [name, fleet[name]]));
  return { ...counts, ...whole, attention: fleet.attention + fleet.stale };
}

const WHATEVER_RANGE = ["active", "new", "waiting", "lost", "stale", "running", "stopping"];

function isNewer(known, offered) {
  return known.updatedAt > offered.updatedAt || known.liveness.vouchedAt > offered.liveness.vouchedAt;
}
