/** What the list shows, as its address says it: so that it can be shared, kept as a bookmark, and gone back to. */

import { at } from "./address.js";
import { STATES } from "./states.js";

/** The filters: one state, or several. */
export const FILTERS = Object.freeze(["all", "attention", "active", ...STATES]);

/** By what tasks are grouped, the usual way first. */
export const GROUPS = Object.freeze(["attention", "project", "host", "agent", "state", "none"]);

/** In what order they are, the usual one first. */
export const SORTS = Object.freeze(["attention", "created", "updated", "elapsed", "title"]);

const HOUR_MS = 3_600_000;

/** How far back the list looks, in milliseconds. What is under way, or needs a person, is listed however old. */
export const RANGES = Object.freeze({
  "24h": 24 * HOUR_MS, "1h": HOUR_MS, "7d": 7 * 24 * HOUR_MS, "30d": 30 * 24 * HOUR_MS, all: null,
});

const NAMES = { filter: "status", q: "q", group: "group", sort: "sort", range: "range" };
const USUAL = { filter: "all", q: "", group: "attention", sort: "attention", range: "24h" };
const KNOWN = { filter: FILTERS, group: GROUPS, sort: SORTS, range: Object.keys(RANGES) };

/** What an address asks for; what it does not know is as usual. */
export function readQuery(url) {
  const query = { folded: new Set(url.searchParams.getAll("folded")) };
  for (const [name, parameter] of Object.entries(NAMES)) {
    const value = url.searchParams.get(parameter);
    const isKnown = value !== null && (KNOWN[name]?.includes(value) ?? true);
    query[name] = isKnown ? value : USUAL[name];
  }
  return query;
}

/** The address of the list with that query, given as a whole or as far as it is not as usual. */
export function listAddress(query) {
  const parameters = new URLSearchParams();
  for (const [name, parameter] of Object.entries(NAMES)) {
    const value = query[name] ?? USUAL[name];
    if (value !== USUAL[name]) parameters.set(parameter, value);
  }
  for (const name of query.folded ?? []) parameters.append("folded", name);
  const text = parameters.toString();
  return at(text ? `/?${text}` : "/");
}
