/** A task's whole history as a file: JSON as the server has it, or CSV for a spreadsheet. */

import { listEvents } from "../api/api.js";

const PAGE = 1000;

/** A history of more events than this is cut at its beginning. */
const MOST_PAGES = 100;

const COLUMNS = ["seq", "at", "received_at", "kind", "step_id", "status", "summary", "by", "task_status"];

/** Fetches all events, and hands them to the reader as a file of that `format`: `json` or `csv`. */
export async function downloadHistory(taskId, format) {
  const pages = [];
  let before = null;
  do {
    const page = await listEvents(taskId, { before, limit: PAGE });
    pages.unshift(page.events);
    before = page.next_before ?? null;
  } while (before !== null && pages.length < MOST_PAGES);
  const events = pages.flat();
  const text = format === "json" ? JSON.stringify(events, null, 2) : toCsv(events);
  const type = format === "json" ? "application/json" : "text/csv;charset=utf-8";
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${taskId}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** RFC 4180, with the byte order mark by which spreadsheets know UTF-8. */
function toCsv(events) {
  const rows = events.map((event) => {
    const values = { ...event, summary: event.summary ?? event.reason, by: event.by ?? event.requested_by };
    return COLUMNS.map((name) => cell(values[name])).join(",");
  });
  return `\ufeff${[COLUMNS.join(","), ...rows].join("\r\n")}\r\n`;
}

/** A value that a spreadsheet would take for a formula is made text. */
function cell(value) {
  const text = String(value ?? "");
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
