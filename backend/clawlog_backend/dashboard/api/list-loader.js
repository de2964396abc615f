/**
 * Brings tasks from the server's list into the store, page by page.
 *
 * Tasks in progress are loaded in full, and with them what needs attention: how much of that is shown must not depend on
 * how far somebody scrolled. Ended tasks, of which there can be any number, come as the reader scrolls.
 */

import { listTasks } from "./api.js";
import { readTask } from "./model.js";

const PAGE = 200;

/** Loads for one filter and search at a time. */
export class ListLoader {
  #store;
  #onChange;
  #abort = new AbortController();
  #cursor = null;
  #query = { filter: "all", q: "" };
  #isLoading = false;

  /** The ids that the server found for the current search. */
  found = new Set();
  counts = {};
  /** `loading`, `ready`, or `failed` with the reason in `error`. */
  state = "loading";
  error = null;

  constructor({ store, onChange }) {
    this.#store = store;
    this.#onChange = onChange;
  }

  /** Whether the server has more for the current filter. */
  get hasMore() {
    return this.#cursor !== null;
  }

  get isLoadingMore() {
    return this.#isLoading && this.state === "ready";
  }

  /** Starts over with another filter and search. What is known stays shown meanwhile. */
  async start({ filter, q }) {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#query = { filter, q };
    this.#cursor = null;
    this.found = new Set();
    this.state = "loading";
    this.error = null;
    this.#onChange();
    try {
      await Promise.all([this.#loadActive(signal), this.#loadNeedy(signal), this.#loadFirst(signal)]);
      this.state = "ready";
    } catch (error) {
      if (signal.aborted) return;
      this.state = "failed";
      this.error = error;
    }
    this.#onChange();
  }

  /** Loads the next page of the current filter, if there is one and it is not on its way. */
  async more() {
    if (this.#isLoading || this.#cursor === null || this.state !== "ready") return;
    const { signal } = this.#abort;
    this.#isLoading = true;
    this.#onChange();
    try {
      await this.#loadPage({ ...serverQuery(this.#query), cursor: this.#cursor }, signal);
    } catch (error) {
      if (signal.aborted) return;
      // A page that never arrived is asked for again at the next scroll; a broken connection has its own notice.
    } finally {
      this.#isLoading = false;
    }
    this.#onChange();
  }

  /** Asks for the counts alone. */
  async refreshCounts() {
    const { signal } = this.#abort;
    try {
      this.counts = (await listTasks({ limit: 1 }, signal)).counts ?? {};
      this.#onChange();
    } catch {
      // The next change asks again.
    }
  }

  #loadActive(signal) {
    return this.#loadAll({ status: "active" }, signal);
  }

  #loadNeedy(signal) {
    return this.#loadAll({ attention: "open" }, signal);
  }

  async #loadAll(query, signal) {
    let cursor = null;
    do {
      const page = await listTasks({ ...query, limit: PAGE, cursor }, signal);
      this.#take(page);
      cursor = page.next_cursor;
    } while (cursor !== null);
  }

  async #loadFirst(signal) {
    await this.#loadPage(serverQuery(this.#query), signal);
  }

  async #loadPage(query, signal) {
    const page = await listTasks({ ...query, limit: PAGE }, signal);
    // Counts beside a search may be those of its results; the filters show those of all tasks.
    const tasks = this.#take(query.q ? { ...page, counts: null } : page);
    if (query.q) for (const task of tasks) this.found.add(task.id);
    this.#cursor = page.next_cursor;
  }

  #take(page) {
    const tasks = page.tasks.map(readTask);
    for (const task of tasks) this.#store.offer(task);
    if (page.counts) this.counts = page.counts;
    this.#onChange();
    return tasks;
  }
}

/** What the server is asked for a filter; what the page itself finds to need attention is in progress, and here already. */
function serverQuery({ filter, q }) {
  if (filter === "attention") return { attention: "open", q };
  return { status: filter === "all" ? null : filter, q };
}
