/** What stands in the place of rows while there are none, or below them while more come. */

import { at } from "../api/address.js";
import { listAddress } from "../api/query.js";
import { h } from "../parts/element.js";
import { t } from "../texts/i18n.js";

/** The nodes of that state (`loading`, `more`, `failed`, `empty`, `none`); none without one. */
export function stateNodes(name, { query, error }) {
  switch (name) {
    case "loading":
      return [h("p", { class: "muted" }, t("list.loading")), ...Array.from({ length: 6 }, () => h("div", { class: "ghost" }))];
    case "more":
      return [h("p", { class: "muted" }, t("list.more"))];
    case "failed":
      return [h("p", { class: "form-error", role: "alert" }, t("list.failed", { detail: error.message || t("error.network") }))];
    case "empty":
      return [
        h("h2", {}, t("list.empty")),
        h("p", { class: "muted" }, t("list.empty.hint")),
        h("pre", { class: "command", tabindex: "0" }, `clawlog run --title "…" -- sleep 60`),
      ];
    case "none":
      return none(query);
    default:
      return [];
  }
}

function none(query) {
  const { filter, q, range } = query;
  const text = q ? t("list.none.search", { q }) : t(filter === "attention" ? "list.none.attention" : "list.none.filter");
  const older = h("a", { class: "button", href: listAddress({ ...query, range: "all" }) }, t("list.show.older"));
  return [
    h("h2", {}, t("list.none")),
    h("p", { class: "muted", dir: "auto" }, text),
    h("p", { class: "list-ways" }, range === "all" ? null : older, h("a", { class: "button", href: at("/") }, t("list.show.all"))),
  ];
}
