/**
 * Times as the page shows them: the server's clock, ages, durations, absolute times.
 *
 * All times inside the page are milliseconds since the epoch on the server's clock, so that a browser whose clock is
 * wrong still shows true ages.
 */

import { h, setAttribute, setText } from "../parts/element.js";
import { setting } from "../parts/settings.js";
import { language, t } from "./i18n.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * The server's clock as the browser knows it. It stands still while the server cannot be reached: how the tasks' ages
 * would have gone on is not known here, and a broken connection must not make healthy tasks look silent.
 */
class ServerClock {
  // Counted on the browser's monotonic clock, which nobody sets while the page is open.
  #offset_ms = Date.now() - performance.now();
  #lastContact = performance.now();
  #listening = false;

  /** The server's time as of its latest greeting. */
  set(serverTime) {
    this.#offset_ms = serverTime - performance.now();
    this.noteContact();
  }

  /** Notes that the server sent something just now. */
  noteContact() {
    this.#lastContact = performance.now();
    this.#listening = true;
  }

  /** Notes that the connection is gone. */
  noteLoss() {
    this.#listening = false;
  }

  /** When the server last sent something, on the server's clock. */
  get lastContact() {
    return this.#lastContact + this.#offset_ms;
  }

  /** The server's time, whether or not it can be reached. */
  get wall() {
    return performance.now() + this.#offset_ms;
  }

  /** The time up to which the page's knowledge reaches. */
  now() {
    return this.#listening ? this.wall : this.lastContact;
  }
}

export const clock = new ServerClock();

/** Milliseconds of an RFC 3339 time; null for none, and for one that cannot be read. */
export function parseTime(text) {
  const value = text ? Date.parse(text) : Number.NaN;
  return Number.isNaN(value) ? null : value;
}

/** A length of time in its one or two largest units, for ages: `4 s`, `2 min`, `3 h 5 min`, `2 d 4 h`. */
export function age(length_ms) {
  const length = Math.max(0, length_ms);
  if (length < MINUTE) return t("time.s", { n: Math.floor(length / SECOND) });
  if (length < HOUR) return t("time.min", { n: Math.floor(length / MINUTE) });
  if (length < DAY) return pair("time.h", Math.floor(length / HOUR), "time.min", Math.floor((length % HOUR) / MINUTE));
  return pair("time.d", Math.floor(length / DAY), "time.h", Math.floor((length % DAY) / HOUR));
}

/** A length of time in its largest unit alone, where there is little room: `41 min`, `5 h`, `2 d`. */
export function roughAge(length_ms) {
  const length = Math.max(0, length_ms);
  if (length < HOUR) return age(length);
  return length < DAY ? t("time.h", { n: Math.floor(length / HOUR) }) : t("time.d", { n: Math.floor(length / DAY) });
}

/** A length of time as measured, for durations and delays: `40 ms`, `3.2 s`, `4 min 12 s`, `3 h 5 min`. */
export function duration(length_ms) {
  const length = Math.max(0, length_ms);
  if (length < SECOND) return t("time.ms", { n: Math.round(length) });
  if (length < 10 * SECOND) return t("time.s", { n: (Math.floor(length / 100) / 10).toFixed(1) });
  if (length < MINUTE) return t("time.s", { n: Math.floor(length / SECOND) });
  if (length < HOUR) return pair("time.min", Math.floor(length / MINUTE), "time.s", Math.floor((length % MINUTE) / SECOND));
  return age(length);
}

function pair(largeUnit, large, smallUnit, small) {
  const first = t(largeUnit, { n: large });
  return small ? `${first} ${t(smallUnit, { n: small })}` : first;
}

const formatters = new Map();

function formatter(name, options) {
  const key = `${language()} ${name}`;
  if (!formatters.has(key)) formatters.set(key, new Intl.DateTimeFormat(language(), options));
  return formatters.get(key);
}

/** Date and time in full, in the reader's time zone, which is named. */
export function absolute(time) {
  const options = {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
    hourCycle: "h23", timeZoneName: "short",
  };
  return formatter("absolute", options).format(time);
}

/** The time of day, to the second. */
export function timeOfDay(time) {
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return formatter("time", options).format(time);
}

/** When something was, as the reader wants it said: how long ago, or at what time. */
export function when(time, now) {
  if (setting("times") === "relative") return t("time.ago", { age: roughAge(now - time) });
  if (now - time < DAY / 2) return timeOfDay(time);
  const options = { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return formatter("short", options).format(time);
}

/** The day, without the time. */
export function day(time) {
  return formatter("day", { year: "numeric", month: "long", day: "numeric", weekday: "long" }).format(time);
}

/** A `<time>` whose text is set by `setTime`. */
export function timeElement(className = null) {
  return h("time", { class: className });
}

/** Shows `text` for `time`, with the absolute time (and `more`) on hover; hides the element where there is no time. */
export function setTime(node, time, text, more = "") {
  node.hidden = time === null;
  if (time === null) return;
  if (node.dataset.time !== `${time} ${more}`) {
    node.dataset.time = `${time} ${more}`;
    setAttribute(node, "datetime", new Date(time).toISOString());
    setAttribute(node, "title", more ? `${absolute(time)} · ${more}` : absolute(time));
  }
  setText(node, text);
}
