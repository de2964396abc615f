/** A task's history for reading: which events belong to what, repeats folded, late arrivals told once. No I/O, no DOM. */

/** An event that reached the server this much later than it happened waited in an outbox: it is marked. */
const LATE_AFTER_MS = 10_000;

/** From so many alike on, one stands for all of them. */
const FOLDED_FROM = 3;

const STEPS = ["step_status", "step_added", "plan"];
const STOPS = ["interrupt_requested", "interrupt_seen", "interrupt_delivered", "interrupt_ack"];

/** The kinds of events but heartbeats, which are many and alike. */
export const REPORTS = Object.freeze([
  "task_created", "task_status", ...STEPS, "metadata", "link", "agent_lost", ...STOPS, "task_closed", "attention_acknowledged",
]);

/** What a history can be narrowed to. */
export const TABS = Object.freeze({
  all: () => true,
  steps: ({ kind }) => STEPS.includes(kind),
  stops: ({ kind }) => STOPS.includes(kind) || kind === "task_closed",
  failed: ({ kind, status }) => status === "failed" || kind === "agent_lost",
});

/** The events of a tab that say `words`, the newest first; with heartbeats only where asked. */
export function chosen(events, { tab, words, hasBeats, titleOf }) {
  const needle = words.toLocaleLowerCase();
  const says = (event) => [event.summary, event.by, titleOf(event), event.kind].join("\n").toLocaleLowerCase().includes(needle);
  return events.filter((event) => (hasBeats || event.kind !== "heartbeat") && TABS[tab](event) && (needle === "" || says(event))).reverse();
}

/** Lines as `{event, repeats, late}`: `repeats` are the further events that are alike, `late` says of how many and how much. */
export function lines(events) {
  const folded = [];
  for (let i = 0; i < events.length; ) {
    const form = formOf(events[i]);
    let end = i + 1;
    while (end < events.length && formOf(events[end]) === form) end += 1;
    if (end - i >= FOLDED_FROM) folded.push({ event: events[i], repeats: events.slice(i + 1, end), late: null });
    else for (const event of events.slice(i, end)) folded.push({ event, repeats: [], late: null });
    i = end;
  }
  markLate(folded);
  return folded;
}

/** Events that differ in nothing but numbers are alike. */
function formOf({ kind, status, stepId, summary, stalled, pairs, link, by }) {
  return JSON.stringify([kind, status, stepId, summary.replaceAll(/\d+(?:[.,]\d+)*/g, "#"), stalled, pairs, link, by]);
}

/** Says "arrived later" once for each run of late events: on its first line. */
function markLate(folded) {
  let run = null;
  for (const line of folded) {
    const delays = [line.event, ...line.repeats].map(delayOf).filter((delay) => delay >= LATE_AFTER_MS);
    if (delays.length === 0) {
      run = null;
      continue;
    }
    run ??= line.late = { n: 0, delay: 0 };
    run.n += delays.length;
    run.delay = Math.max(run.delay, ...delays);
  }
}

function delayOf({ at, receivedAt }) {
  return at !== null && receivedAt !== null ? receivedAt - at : 0;
}
