/**
 * The server's stream of changes, held open for as long as a view wants it.
 *
 * Reads server-sent events through `fetch` rather than `EventSource`, for three things that one cannot do: tell a
 * missing log-in from a missing server, notice a connection that died without a word, and resume after the page chose
 * to reconnect.
 */

import { ApiError, request } from "./api.js";

/** The server writes at least every 15 s; silence for longer than two of those means that the connection is dead. */
const SILENCE_MS = 40_000;

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;

/** Failing for longer than this is called disconnected; before that, reconnecting. */
const DISCONNECTED_AFTER_MS = 5_000;

/** Answers that asking again will not change: no log-in, not allowed, no such task. */
const REFUSALS = new Set([401, 403, 404, 422]);

/** States of the connection. */
export const State = Object.freeze({
  CONNECTING: "connecting",
  LIVE: "live",
  RECONNECTING: "reconnecting",
  DISCONNECTED: "disconnected",
  REFUSED: "refused",
});

/** A reader that scrolls has its stream opened anew, for other tasks' signs of life, once it rests for this long. */
const WATCH_AFTER_MS = 400;

/** Beside the tasks on the screen, those that were on it stay watched up to this many: a list that moves asks less often. */
const MOST_WATCHED = 80;

/** One subscription; `close` ends it for good. */
export class ChangeStream {
  #path;
  #onEvent;
  #onData;
  #onState;
  #onRefused;
  #closed = false;
  #lastEventId = null;
  #abort = null;
  #wake = null;
  #failingSince = null;
  #watched = [];
  #asked = [];
  #watchTimer = null;
  #isReopening = false;

  /**
   * `onEvent(name, data)` gets each event with its parsed JSON, `onData()` each time that the server sent something,
   * `onState(state)` each change of the connection, `onRefused(error)` its end by the server's will; none is called
   * after `close`.
   */
  constructor({ path, onEvent, onData, onState, onRefused }) {
    this.#path = path;
    this.#onEvent = onEvent;
    this.#onData = onData;
    this.#onState = onState;
    this.#onRefused = onRefused;
    window.addEventListener("online", this.retryNow);
    document.addEventListener("visibilitychange", this.retryNow);
    void this.#run();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#watchTimer);
    window.removeEventListener("online", this.retryNow);
    document.removeEventListener("visibilitychange", this.retryNow);
    this.#abort?.abort();
    this.#wake?.();
  }

  /** Asks for the signs of life of these tasks as well: those that are on the screen. */
  watch(taskIds) {
    if (taskIds.every((id) => this.#watched.includes(id))) return;
    this.#watched = [...new Set([...taskIds, ...this.#watched])].slice(0, MOST_WATCHED);
    this.#askSoon();
  }

  #askSoon() {
    clearTimeout(this.#watchTimer);
    this.#watchTimer = setTimeout(() => {
      if (this.#closed || this.#asked === this.#watched) return;
      if (this.#lastEventId === null || this.#failingSince !== null) {
        this.#askSoon();
        return;
      }
      this.#isReopening = true;
      this.#abort?.abort();
    }, WATCH_AFTER_MS);
  }

  /** Ends a wait between two attempts. */
  retryNow = () => this.#wake?.();

  async #run() {
    let attempt = 0;
    this.#onState(State.CONNECTING);
    while (!this.#closed) {
      try {
        await this.#read(() => {
          attempt = 0;
          this.#failingSince = null;
          this.#onState(State.LIVE);
        });
      } catch (error) {
        if (!this.#closed && error instanceof ApiError && REFUSALS.has(error.status)) {
          this.#onState(State.REFUSED);
          this.#onRefused(error);
          this.close();
        }
      }
      if (this.#closed) return;
      if (this.#isReopening) {
        this.#isReopening = false;
        continue;
      }
      this.#failingSince ??= performance.now();
      const isLong = performance.now() - this.#failingSince >= DISCONNECTED_AFTER_MS || navigator.onLine === false;
      this.#onState(isLong ? State.DISCONNECTED : State.RECONNECTING);
      // Full jitter: after a restart of the server its pages do not all come back in the same instant.
      const ceiling_ms = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt);
      await this.#pause(ceiling_ms * (0.5 + Math.random() / 2));
      attempt += 1;
    }
  }

  #pause(length_ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, length_ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    }).finally(() => {
      this.#wake = null;
    });
  }

  async #read(onOpen) {
    this.#abort = new AbortController();
    const headers = { Accept: "text/event-stream" };
    if (this.#lastEventId !== null) headers["Last-Event-ID"] = this.#lastEventId;
    let watchdog = null;
    const restartWatchdog = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => this.#abort.abort(), SILENCE_MS);
    };
    restartWatchdog();
    try {
      this.#asked = this.#watched;
      const watched = new URLSearchParams(this.#watched.map((id) => ["task_ids", id])).toString();
      const path = watched === "" ? this.#path : `${this.#path}?${watched}`;
      const response = await request(path, { headers, signal: this.#abort.signal });
      onOpen();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser();
      for (;;) {
        const { value, done } = await reader.read();
        if (done || this.#closed) return;
        restartWatchdog();
        this.#onData();
        for (const { id, name, data } of parser.feed(value)) {
          const isResumed = this.#lastEventId !== null;
          if (id !== null) this.#lastEventId = id;
          if (name === null || this.#closed) continue;
          this.#onEvent(name, { ...(data === "" ? {} : JSON.parse(data)), isResumed });
        }
      }
    } finally {
      clearTimeout(watchdog);
      this.#abort.abort();
    }
  }
}

/** The event stream format of the HTML standard, section 9.2.6: lines in, events out. */
class EventParser {
  #rest = "";
  #id = null;
  #name = "";
  #data = [];

  /** The events completed by `text`, as `{id, name, data}`; without a name where there is only an id. */
  feed(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    return lines.map((line) => this.#line(line)).filter((event) => event !== null);
  }

  #line(line) {
    if (line === "") return this.#finish();
    const colon = line.indexOf(":");
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id") this.#id = value;
    else if (field === "event") this.#name = value;
    else if (field === "data") this.#data.push(value);
    return null;
  }

  #finish() {
    const isEmpty = this.#name === "" && this.#data.length === 0;
    const event = { id: this.#id, name: isEmpty ? null : this.#name || "message", data: this.#data.join("\n") };
    this.#name = "";
    this.#data = [];
    return event;
  }
}
