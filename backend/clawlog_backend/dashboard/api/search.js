/**
 * What a reader types into the search: words, and `key:value`, where the key is `state`, `id` or one of the metadata's.
 *
 * `host:gpu-07 project:"data platform" failed` finds what has both pairs and the word, which may be the state's as well.
 */

import { t } from "../texts/i18n.js";
import { stateOf } from "./states.js";

const TOKEN = /([\p{L}\p{N}_.-]+):("[^"]*"|[^\s"]+)|"([^"]*)"|\S+/gu;
const STATE_KEYS = new Set(["state", "status", "is"]);

/** Pairs that the server's list narrows by. */
const SERVER_KEYS = new Set(["host", "project", "agent"]);

/** A search as `{terms, words, text}`: pairs, words, and what it was read from. */
export function parseSearch(text) {
  const terms = [];
  const words = [];
  for (const [token, key, value, quoted] of text.matchAll(TOKEN)) {
    const isPair = key !== undefined && !value.startsWith("//"); // an address is no pair
    if (isPair) terms.push({ key: fold(key), value: fold(value.replaceAll('"', "")) });
    else words.push(fold(quoted ?? token));
  }
  return { terms, words: words.filter(Boolean), text: text.trim() };
}

/** Whether the task is what was searched for; `found` has the ids that the server found for its words. */
export function matches(task, { terms, words }, found) {
  if (!terms.every((term) => hasPair(task, term))) return false;
  if (words.length === 0 || found.has(task.id)) return true;
  const label = stateLabel(task);
  return words.every((word) => label.includes(word) || task.haystack.includes(word));
}

/** What the server's list is asked for a search; null where the page alone can answer. */
export function serverSearch({ terms, words }) {
  const query = {};
  for (const { key, value } of terms) if (SERVER_KEYS.has(key)) query[key] = value;
  if (words.length > 0) query.q = words.join(" ");
  return Object.keys(query).length > 0 ? query : null;
}

function hasPair(task, { key, value }) {
  if (STATE_KEYS.has(key)) return stateOf(task) === value || stateLabel(task).replaceAll(" ", "-").startsWith(value.replaceAll(" ", "-"));
  if (key === "id") return fold(task.id).startsWith(value) || fold(task.id).endsWith(value);
  return task.metadata.some(([name, its]) => fold(name) === key && fold(String(its)).startsWith(value));
}

function stateLabel(task) {
  return fold(t(`status.${stateOf(task)}`));
}

function fold(text) {
  return text.toLocaleLowerCase();
}
