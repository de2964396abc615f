/**
 * Heartbeats on a strip of time: one line for the heartbeats, one for the agent's own reports, and the gaps between the
 * heartbeats.
 */

import { h, setAttribute, setText, svg } from "./element.js";
import { t } from "../texts/i18n.js";
import { icon } from "./icons.js";
import { QUIET_AFTER_MS, clockEnd, hasEnded, isDead } from "../api/states.js";
import { ages } from "./evidence.js";
import { absolute, age, duration, setTime, timeElement, timeOfDay } from "../texts/time.js";

/** The strip shows at most this much time, up to now or to the task's end. */
export const STRIP_SPAN_MS = 30 * 60_000;

/** A strip of less than this would be all gaps and no beats. */
const SHORTEST_SPAN_MS = 60_000;

/** The strip moves on in steps of this, not each second: a hint under the pointer must not vanish while it is read. */
const REDRAW_AFTER_MS = 5_000;

/** The strip's margins, as a part of its span. */
const MARGIN_PART = 0.005;

/** Pixels that the label of a gap needs. */
const LABEL_WIDTH = 96;

export class HeartbeatStrip {
  #ages = [timeElement(), timeElement()];
  #drawn = null;
  #reason = h("p", { class: "attention-line" });
  #chart = svg("svg", { class: "strip", role: "img" });
  #from = h("time");
  #to = h("time");
  #axis = h("div", { class: "strip-axis", "aria-hidden": "true" }, this.#from, this.#to);
  #summary = h("p", { class: "strip-summary muted" });
  #legend = h(
    "div",
    { class: "strip-names", "aria-hidden": "true" },
    h("span", {}, t("strip.heartbeats")),
    h("span", {}, t("strip.reports")),
  );
  #frame = h("div", { class: "strip-frame" }, this.#legend, h("div", { class: "strip-body" }, this.#chart, this.#axis));

  element = h(
    "section",
    { class: "card", "aria-labelledby": "strip-title" },
    h("div", { class: "card-head" }, h("h2", { id: "strip-title" }, icon("beat"), t("task.liveness")), h("span", { class: "ages" }, this.#ages)),
    this.#reason,
    this.#frame,
    this.#summary,
  );

  /** Shows the beats among `events`, which are in the order in which they happened. */
  update(task, events, now) {
    const lines = ages(task, now);
    this.#ages.forEach((node, i) => setTime(node, lines[i]?.time ?? null, lines[i]?.text, t(`liveness.explain.${hasEnded(task) ? "ended" : task.liveness.state}`)));
    setText(this.#reason, hasEnded(task) ? "" : task.liveness.reason);
    const losses = events.filter(({ kind, at }) => kind === "agent_lost" && at !== null);
    const end = isDead(task) ? Math.max(clockEnd(task, now), ...losses.map(({ at }) => at)) : clockEnd(task, now);
    const span = spanOf(task, end);
    const drawn = [events.length, Math.floor(span.to / REDRAW_AFTER_MS), this.#chart.clientWidth, hasEnded(task)].join(" ");
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const known = events.filter(({ kind, at }) => kind === "heartbeat" && at !== null && at <= span.to);
    const beats = known.filter(({ at }) => at >= span.from);
    const { runs, gaps } = continuity(known, task.liveness.vouchedAt, { ...span, end: hasEnded(task) || isDead(task) ? null : now });
    this.#frame.hidden = beats.length === 0 && runs.length === 0;
    if (this.#frame.hidden) {
      setText(this.#summary, t("strip.none"));
      return;
    }
    const text = describe(beats, task.liveness.beats, gaps, span);
    setText(this.#summary, text);
    setAttribute(this.#chart, "aria-label", text);
    setText(this.#from, timeOfDay(span.from));
    setText(this.#to, timeOfDay(span.to));
    this.#chart.replaceChildren(...draw({ beats, runs, gaps, losses: losses.filter(({ at }) => at >= span.from), span, pixels: this.#chart.clientWidth }));
  }
}

function spanOf(task, to) {
  const length = Math.min(STRIP_SPAN_MS, Math.max(SHORTEST_SPAN_MS, to - task.createdAt));
  // A margin, so that what happened at either end is drawn in full.
  return { from: to - length * (1 + MARGIN_PART), to: to + length * MARGIN_PART };
}

/**
 * Where heartbeats came one after the other, and the gaps that are longer than a live agent leaves. A heartbeat of the history
 * stands for those alike since the one before it, back to where it says that there were none; after the newest one, they came
 * until `vouchedAt`. Up to `end` there may be a last gap, where the task has not ended.
 */
function continuity(beats, vouchedAt, { from, to, end }) {
  const runs = [];
  const gaps = [];
  const add = (list, begin, until, rest) => {
    if (until > Math.max(begin, from)) list.push({ from: Math.max(begin, from), to: Math.min(until, to), ...rest });
  };
  beats.forEach(({ at, beats: n, gapSince }, i) => {
    if (i === 0) return;
    const before = beats[i - 1];
    const isGap = n === null ? at - before.at >= QUIET_AFTER_MS : gapSince !== null;
    const until = isGap ? (gapSince ?? before.at) : at;
    add(runs, before.at, until, { stalled: before.stalled });
    if (isGap) add(gaps, Math.max(until, before.at), at, {});
  });
  const last = beats.at(-1);
  if (last === undefined) return { runs, gaps };
  const seen = Math.max(last.at, vouchedAt ?? 0);
  add(runs, last.at, seen, { stalled: last.stalled });
  if (end !== null && end - seen >= QUIET_AFTER_MS) add(gaps, seen, end, {});
  return { runs, gaps };
}

/** `since`: how many came after the last of `beats`. */
function describe(beats, since, gaps, span) {
  const longest = Math.max(0, ...gaps.map(({ from, to }) => to - from));
  const parts = [t("strip.summary", { n: beats.reduce((sum, { beats: n }) => sum + (n ?? 1), since), span: age((span.to - span.from) / (1 + 2 * MARGIN_PART)) })];
  parts.push(longest ? t("strip.gap", { gap: age(longest) }) : t("strip.nogap"));
  return parts.join(" · ");
}

function draw({ beats, runs, gaps, losses, span, pixels }) {
  const x = (time) => `${((100 * (time - span.from)) / (span.to - span.from)).toFixed(3)}%`;
  const width = (from, to) => `${((100 * (to - from)) / (span.to - span.from)).toFixed(3)}%`;
  const nodes = [];
  for (const { from, to } of gaps) {
    const title = svg("title", {}, `${t("strip.gap.label", { gap: duration(to - from) })}: ${absolute(from)} – ${absolute(to)}`);
    nodes.push(svg("rect", { class: "strip-gap", x: x(from), y: 0, width: width(from, to), height: "100%" }, title));
    if ((pixels * (to - from)) / (span.to - span.from) < LABEL_WIDTH) continue;
    const label = t("strip.gap.label", { gap: age(to - from) });
    nodes.push(svg("text", { class: "strip-gap-label", x: x((from + to) / 2), y: 20 }, label));
  }
  for (const { from, to, stalled } of runs) {
    nodes.push(svg("rect", { class: stalled ? "strip-run stalled" : "strip-run", x: x(from), y: 4, width: width(from, to), height: 24 }));
  }
  const beatWidth = beats.length * 4 > pixels ? 1 : 2;
  for (const { at, stalled, summary } of beats) {
    const title = svg("title", {}, [absolute(at), summary].filter(Boolean).join(" · "));
    nodes.push(svg("rect", { class: stalled ? "strip-beat stalled" : "strip-beat", x: x(at), y: 4, width: beatWidth, height: 24 }, title));
  }
  for (const seen of new Set(beats.map(({ agentSeenAt }) => agentSeenAt))) {
    if (seen === null || seen < span.from || seen > span.to) continue;
    nodes.push(svg("circle", { class: "strip-report", cx: x(seen), cy: 42, r: 2.5 }, svg("title", {}, absolute(seen))));
  }
  for (const { at, summary } of losses) {
    const title = svg("title", {}, [t("strip.lost"), absolute(at), summary].filter(Boolean).join(" · "));
    nodes.push(svg("rect", { class: "strip-lost", x: x(at), y: 0, width: 3, height: 50 }, title));
  }
  return nodes;
}
