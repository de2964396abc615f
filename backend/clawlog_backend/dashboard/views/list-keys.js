/** The keys of the list: go up and down, select, act, group. What is typed into a field is left alone. */

import { CAN } from "../api/states.js";

const STEPS = { j: 1, k: -1 };

/**
 * Does what a key asks for; returns whether it asked for anything.
 *
 * `list` has `move(step)`, `current()` (the task that has the focus, or null), `selected()`, `toggle(task)`,
 * `act(action, tasks)`, `nextGroup()` and `clear()`.
 */
export function onListKey(key, list) {
  if (key in STEPS) list.move(STEPS[key]);
  else if (key === "g") list.nextGroup();
  else if (key === "Escape") list.clear();
  else return onTask(key, list);
  return true;
}

function onTask(key, list) {
  const current = list.current();
  const chosen = list.selected().length > 0 ? list.selected() : current === null ? [] : [current];
  if (key === "x" && current !== null) list.toggle(current);
  else if (key === "s") act("stop", chosen, list);
  else if (key === "e") act(chosen.some(CAN.acknowledge) ? "acknowledge" : "close", chosen, list);
  else return false;
  return true;
}

function act(action, tasks, list) {
  const possible = tasks.filter(CAN[action]);
  if (possible.length > 0) list.act(action, possible);
}
