/** The time axis over the steps: a few ticks at round times of the day. */

import { h } from "./element.js";
import { timeOfDay } from "../texts/time.js";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** How far apart ticks can be. */
const DISTANCES_MS = [
  ...[5, 10, 15, 30].map((n) => n * SECOND_MS), ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE_MS),
  ...[1, 2, 3, 6, 12, 24, 48, 168].map((n) => n * HOUR_MS),
];

/** The labels of more ticks than this would run into each other. */
const MOST_TICKS = 4;

export class TimeAxis {
  #drawn = "";

  element = h("span", { class: "axis" });

  update(begin, end, isShown) {
    this.element.parentElement.hidden = !isShown;
    const distance = DISTANCES_MS.find((each) => (end - begin) / each <= MOST_TICKS) ?? DISTANCES_MS.at(-1);
    const offset = new Date(begin).getTimezoneOffset() * MINUTE_MS;
    const ticks = [];
    for (let at = Math.ceil((begin - offset) / distance) * distance + offset; at <= end; at += distance) ticks.push(at);
    const places = ticks.map((at) => ({ at, left: `${((100 * (at - begin)) / (end - begin)).toFixed(1)}%` }));
    const drawn = JSON.stringify(places);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.element.replaceChildren(...places.map(({ at, left }) => {
      const tick = h("span", { class: "tick" }, distance < MINUTE_MS ? timeOfDay(at) : timeOfDay(at).slice(0, 5));
      tick.style.left = left;
      return tick;
    }));
  }
}
