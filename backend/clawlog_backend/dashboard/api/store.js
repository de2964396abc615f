/** The tasks that the page knows: merged from the list and the change stream, and chosen for showing. No I/O, no DOM. */

import { hasEnded, isStopping, statusAt, attentionAt } from "./liveness.js";

/** The groups of the list, in the order of how soon a person wants to see them. */
export const Group = Object.freeze({ ATTENTION: 0, ACTIVE: 1, ENDED: 2 });

/** The filters, in the order they are shown. All but `attention` are known to the server. */
export const FILTERS = Object.freeze([
  "active", "attention", "stopping", "waiting", "all", "done", "failed", "interrupted", "stale",
]);

const MATCHES = {
  all: () => true,
  active: (task) => !hasEnded(task),
  attention: (task, now) => attentionAt(task, now) !== null,
  stopping: (task) => isStopping(task),
  waiting: (task, now) => statusAt(task, now) === "waiting",
  stale: (task, now) => statusAt(task, now) === "stale",
  failed: (task) => task.status === "failed",
  interrupted: (task) => task.status === "interrupted",
  done: (task) => task.status === "done",
};

/** The group in which the task is listed at `now`. */
function groupOf(task, now) {
  if (attentionAt(task, now) !== null) return Group.ATTENTION;
  return hasEnded(task) ? Group.ENDED : Group.ACTIVE;
}

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

  /**
   * Takes in a task from the list; what the stream brought meanwhile is newer and stays.
   */
  offer(task) {
    const known = this.#tasks.get(task.id);
    if (known && isNewer(known, task)) return;
    this.#tasks.set(task.id, task);
  }

  /** Takes in a task from the stream, which is always the latest. */
  put(task) {
    this.#tasks.set(task.id, task);
  }

  /** The tasks of a filter whose words contain `q` (or whose ids the server found for it), grouped, newest first. */
  select({ filter, q, found, now }) {
    const needle = q.toLocaleLowerCase();
    const chosen = [];
    for (const task of this.#tasks.values()) {
      if (!MATCHES[filter](task, now)) continue;
      if (needle && !found.has(task.id) && !contains(task, needle)) continue;
      chosen.push({ task, group: groupOf(task, now) });
    }
    return chosen.sort((a, b) => a.group - b.group || compareByAge(a.task, b.task));
  }

  /** How many of the known tasks belong to each of these filters at `now`. */
  count(filters, now) {
    const counts = Object.fromEntries(filters.map((filter) => [filter, 0]));
    for (const task of this.#tasks.values()) {
      for (const filter of filters) if (MATCHES[filter](task, now)) counts[filter] += 1;
    }
    return counts;
  }
}

function isNewer(known, offered) {
  return known.updatedAt > offered.updatedAt || known.liveness.vouchedAt > offered.liveness.vouchedAt;
}

function contains(task, needle) {
  return task.title.toLocaleLowerCase().includes(needle) || task.summary.toLocaleLowerCase().includes(needle);
}

function compareByAge(a, b) {
  return b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1);
}
