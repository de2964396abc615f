/** Puts tasks into groups and into order, subtasks under the task that they are a part of. No I/O, no DOM. */

import { STATES, clockEnd, hasEnded, needsAttention, stateOf, urgency } from "./states.js";

/** The groups by attention, in their order. */
const SECTIONS = ["attention", "active", "ended"];

/** Subtasks of subtasks of subtasks are indented no further. */
const DEEPEST = 3;

/** Groups as `[{name, rows: [{task, depth}]}]`; the name of those without a value is empty. */
export function arrange(tasks, { group, sort, now }) {
  const decorated = new Map(tasks.map((task) => [task.id, decorate(task, sort, now)]));
  const groups = new Map();
  const children = new Map();
  for (const each of decorated.values()) {
    const parent = decorated.get(each.task.parentId);
    // A subtask that needs a person is not hidden under a task that does not.
    if (parent && parent !== each && (each.urgency >= 4 || group !== "attention") && !isUnder(parent, each, decorated)) {
      if (!children.has(parent.task.id)) children.set(parent.task.id, []);
      children.get(parent.task.id).push(each);
      continue;
    }
    const name = groupOf(each.task, group, now);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(each);
  }
  const arranged = [...groups].map(([name, roots]) => {
    roots.sort(compare);
    return { name, urgency: Math.min(...roots.map((root) => root.urgency)), rows: roots.flatMap((root) => family(root, children, 0)) };
  });
  return arranged.sort((a, b) => order(a, b, group));
}

function decorate(task, sort, now) {
  const rank = urgency(task, now);
  return { task, urgency: rank, key: sortKey(task, sort, rank, now) };
}

/** What the task is sorted by: a list of numbers or texts, compared one after the other. */
function sortKey(task, sort, rank, now) {
  switch (sort) {
    case "created":
      return [-task.createdAt];
    case "updated":
      return [-task.updatedAt];
    case "elapsed":
      return [task.createdAt - clockEnd(task, now)];
    case "title":
      return [task.title.toLocaleLowerCase()];
    default:
      return [rank, hasEnded(task) ? -(task.endedAt ?? task.updatedAt) : -task.createdAt];
  }
}

function compare(a, b) {
  for (let i = 0; i < a.key.length; i += 1) {
    if (a.key[i] < b.key[i]) return -1;
    if (a.key[i] > b.key[i]) return 1;
  }
  return b.task.createdAt - a.task.createdAt || (a.task.id < b.task.id ? 1 : -1);
}

function isUnder(parent, child, decorated) {
  let above = parent;
  for (let depth = 0; above && depth < 10; depth += 1) {
    if (above === child) return true;
    above = decorated.get(above.task.parentId);
  }
  return above !== undefined;
}

function family(root, children, depth) {
  const below = (children.get(root.task.id) ?? []).sort((a, b) => a.task.createdAt - b.task.createdAt);
  return [{ task: root.task, depth }, ...below.flatMap((child) => family(child, children, Math.min(depth + 1, DEEPEST)))];
}

function groupOf(task, group, now) {
  if (group === "none") return "";
  if (group === "state") return stateOf(task);
  if (group === "attention") return SECTIONS[needsAttention(task, now) ? 0 : hasEnded(task) ? 2 : 1];
  return task.pairs[group] ?? "";
}

function order(a, b, group) {
  if (group === "attention") return SECTIONS.indexOf(a.name) - SECTIONS.indexOf(b.name);
  if (group === "state") return STATES.indexOf(a.name) - STATES.indexOf(b.name);
  // Among projects, hosts and agents: those with what needs a person first, those without a name last.
  const pressing = Math.min(a.urgency, 4) - Math.min(b.urgency, 4);
  return (a.name === "") - (b.name === "") || pressing || (a.name < b.name ? -1 : 1);
}
