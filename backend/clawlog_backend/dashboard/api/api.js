/** The only module that sends requests to the server's API (the change stream reads through `request` as well). */

import { at } from "./address.js";

/** An answer other than 2xx, or none at all (`status` 0). `detail` is fit for a person to read. */
export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.name = "ApiError";
    this.status = status;
  }
}

/** Fired on `apiEvents` when the server asks for a log-in. */
export const UNAUTHORIZED = "unauthorized";
export const apiEvents = new EventTarget();

/** The server does one thing to at most this many tasks at once. */
const MOST_AT_ONCE = 1000;

let csrfToken = null;

/** A request to the server; resolves with a 2xx `Response`, rejects with an `ApiError`. */
export async function request(path, { method = "GET", body = null, headers = {}, signal = null } = {}) {
  const all = { Accept: "application/json", ...headers };
  if (body !== null) all["Content-Type"] = "application/json";
  if (method !== "GET" && csrfToken !== null) all["X-CSRF-Token"] = csrfToken;
  let response;
  try {
    const payload = body === null ? null : JSON.stringify(body);
    response = await fetch(at(path), { method, headers: all, body: payload, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "");
  }
  if (response.ok) return response;
  if (response.status === 401 && path !== "/api/session") apiEvents.dispatchEvent(new Event(UNAUTHORIZED));
  throw new ApiError(response.status, await problem(response));
}

/** The detail of an RFC 9457 problem document, else the bare status. */
async function problem(response) {
  try {
    const { title, detail } = await response.json();
    return typeof detail === "string" ? detail : (title ?? `${response.status}`);
  } catch {
    return `${response.status} ${response.statusText}`.trim();
  }
}

async function json(path, options) {
  const response = await request(path, options);
  return response.status === 204 ? null : response.json();
}

/** Who is there: `{required, authenticated}`. */
export async function getSession() {
  return adopt(await json("/api/session"));
}

/** Exchanges the access token for a session. */
export async function logIn(token) {
  return adopt(await json("/api/session", { method: "POST", body: { token } }));
}

/** Ends the session. */
export async function logOut() {
  await json("/api/session", { method: "DELETE" });
  csrfToken = null;
}

function adopt(session) {
  csrfToken = session.csrf ?? null;
  return session;
}

/** One page of rows: `{tasks, next_cursor}`, by the list's own parameters; those that are null are left out. */
export function listTasks(asked, signal = null) {
  const query = new URLSearchParams({ steps: "false" });
  for (const [name, value] of Object.entries(asked)) if (value !== null) query.set(name, value);
  return json(`/api/tasks?${query}`, { signal });
}

/** One task with its latest events. */
export function getTask(taskId, signal = null) {
  return json(`/api/tasks/${encodeURIComponent(taskId)}`, { signal });
}

/** Events of these kinds (of all, without any), newest last; those before sequence number `before`, where that is given. */
export function listEvents(taskId, { before = null, kinds = [], limit }) {
  const query = new URLSearchParams({ limit: String(limit) });
  if (before !== null) query.set("before", String(before));
  for (const kind of kinds) query.append("kind", kind);
  return json(`/api/tasks/${encodeURIComponent(taskId)}/events?${query}`);
}

/** Asks the task to stop. `key` is minted once per decision, so that a repeated request is the same stop. */
export function requestStop(taskId, { reason, by, key }) {
  const body = { mode: "soft_stop" };
  if (reason) body.reason = reason;
  if (by) body.requested_by = by;
  return act(taskId, "interrupt", body, key);
}

/** Ends the task in its agent's place, as `failed`, `interrupted` or `done`. */
export function closeTask(taskId, { status, reason, by, key }) {
  const body = { status };
  if (reason) body.summary = reason;
  if (by) body.by = by;
  return act(taskId, "close", body, key);
}

/** Says that a person has seen that the task failed, or that its agent is gone. */
export function acknowledgeTask(taskId, { by, key }) {
  return act(taskId, "acknowledge", by ? { by } : {}, key);
}

/** Does one thing (`stop`, `close` or `acknowledge`) to many tasks; resolves with one result for each. */
export async function actOnMany(action, taskIds, { status, reason, by, key }) {
  const results = [];
  for (let i = 0; i < taskIds.length; i += MOST_AT_ONCE) {
    const body = { action, task_ids: taskIds.slice(i, i + MOST_AT_ONCE) };
    if (action === "close") body.status = status;
    if (reason) body.reason = reason;
    if (by) body.by = by;
    const headers = { "Idempotency-Key": i === 0 ? key : `${key}-${i}` };
    results.push(...(await json("/api/actions", { method: "POST", body, headers })).results);
  }
  return results;
}

function act(taskId, what, body, key) {
  const path = `/api/tasks/${encodeURIComponent(taskId)}/${what}`;
  return json(path, { method: "POST", body, headers: { "Idempotency-Key": key } });
}

/** Whom the server tells what happens to tasks: `{targets, rules}`. */
export function getNotifications() {
  return json("/api/notifications");
}

/** Has the server send a test message to all of them; resolves with one result for each. */
export async function testNotifications() {
  return (await json("/api/notifications/test", { method: "POST", body: {} })).results;
}

/** A fresh random key; works over plain HTTP too, where `crypto.randomUUID` is withheld. */
export function mintKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
