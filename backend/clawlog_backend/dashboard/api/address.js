/**
 * Where the dashboard lies on its server: at the top, or below a path of another server (`--root-path`).
 *
 * This file is `BASE/static/api/address.js`, so its own address says it; nothing needs to be written into the page.
 */

const base = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

/** The address of one of the backend's paths, such as `/api/tasks`. */
export function at(path) {
  return base + path;
}

/** The backend's path of an address: what `at` was given for it. A proxy may show the page without the base as well. */
export function pathOf(url) {
  return url.pathname === base || url.pathname.startsWith(`${base}/`) ? url.pathname.slice(base.length) || "/" : url.pathname;
}
