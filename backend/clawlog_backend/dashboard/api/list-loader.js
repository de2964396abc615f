/**
 * Brings tasks from the server's list into the store.
 *
 * The most pressing come first, in one small page, so that something is on the screen at once. Then the whole time range in
 * pages, and of what is older all that is under way or needs a person: how much of that is shown must not depend on how far
 * somebody scrolled. Beyond a bound, what has ended comes as the reader scrolls.
 */

import { listTasks } from "./api.js";
import { readTask } from "./model.js";
import { RANGES } from "./query.js";
import { serverSearch } from "./search.js";
import { clock } from "../texts/time.js";

const FIRST = 60;
const PAGE = 500;

/** How many tasks of the time range are loaded unasked. */
const MOST = 5_000;

/** What is shown however many tasks there are. */
const PRESSING = [{ status: "active" }, { attention: "open" }];

/** Agents' clocks, by which changes are told, may differ from the server's by this much. */
const CLOCKS_APART_MS = 60_000;

/** Loads for one time range and search at a time. */
export class ListLoader {
  #store;
  #onChange;
  #abort = new AbortController();
  #cursor = null;
  #rest = {};
  #isLoading = false;

  /** The ids that the server found for the words of the current search. */
  found = new Set();
  /** `loading`, `ready`, or `failed` with the reason in `error`. */
  state = "loading";
  error = null;

  constructor({ store, onChange }) {
    this.#store = store;
    this.#onChange = onChange;
  }

  /** Whether the server has more of the time range. */
  get hasMore() {
    return this.#cursor !== null;
  }

  get isLoadingMore() {
    return this.#isLoading && this.state === "ready";
  }

  /** Starts over with another time range and search. What is known stays shown meanwhile. */
  async start({ range, search }) {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#cursor = null;
    this.found = new Set();
    this.state = "loading";
    this.error = null;
    this.#onChange();
    const span = RANGES[range];
    const since = span === null ? null : new Date(clock.now() - span).toISOString();
    try {
      if (this.#store.size === 0) await this.#page({ sort: "attention", limit: FIRST }, signal);
      const older = since === null ? [] : PRESSING.map((query) => ({ ...query, until: since }));
      const asked = serverSearch(search);
      await Promise.all([
        this.#range(since === null ? {} : { since }, signal),
        ...older.map((query) => this.#all(query, signal)),
        asked === null ? null : this.#search({ ...asked, ...(since === null ? {} : { since }) }, signal),
      ]);
      if (this.hasMore) await Promise.all(PRESSING.map((query) => this.#all({ ...query, ...this.#rest }, signal)));
      this.state = "ready";
    } catch (error) {
      if (signal.aborted) return;
      this.state = "failed";
      this.error = error;
    }
    this.#onChange();
  }

  /** Loads the next page of the time range, if there is one and it is not on its way. */
  async more() {
    if (this.#isLoading || this.#cursor === null || this.state !== "ready") return;
    const { signal } = this.#abort;
    this.#isLoading = true;
    this.#onChange();
    try {
      this.#cursor = await this.#page({ ...this.#rest, cursor: this.#cursor }, signal);
    } catch (error) {
      if (signal.aborted) return;
      // A page that never arrived is asked for again at the next scroll; a broken connection has its own notice.
    } finally {
      this.#isLoading = false;
    }
    this.#onChange();
  }

  /** Loads what changed since a time; resolves with whether that worked. */
  async catchUp(since) {
    try {
      await this.#all({ since: new Date(since - CLOCKS_APART_MS).toISOString() }, this.#abort.signal);
      return true;
    } catch {
      return false;
    }
  }

  async #range(query, signal) {
    this.#rest = query;
    let cursor = null;
    let loaded = 0;
    do {
      cursor = await this.#page({ ...query, cursor }, signal);
      loaded += PAGE;
    } while (cursor !== null && loaded < MOST);
    this.#cursor = cursor;
  }

  async #all(query, signal) {
    let cursor = null;
    do {
      cursor = await this.#page({ ...query, cursor }, signal);
    } while (cursor !== null);
  }

  async #search(query, signal) {
    await this.#page(query, signal, query.q ? this.found : null);
  }

  /** Loads one page into the store, notes its ids in `found`, and resolves with the cursor of the next. */
  async #page(query, signal, found = null) {
    const page = await listTasks({ limit: PAGE, ...query }, signal);
    for (const task of page.tasks.map(readTask)) {
      this.#store.offer(task);
      found?.add(task.id);
    }
    this.#onChange();
    return page.next_cursor ?? null;
  }
}
