/** A link that leaves the dashboard: it opens beside it, and is told nothing of where it was followed from. */

import { h } from "./element.js";

/** `url` was checked to be http or https when it was read (see `api/model.js`). */
export function webLink({ url, name }) {
  return h("a", { class: "web-link", href: url, title: url, target: "_blank", rel: "noopener noreferrer", dir: "auto" }, name);
}
