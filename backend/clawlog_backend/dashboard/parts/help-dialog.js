/** The keys, and what the search understands. */

import { openDialog } from "./dialog.js";
import { h } from "./element.js";
import { t } from "../texts/i18n.js";

const KEYS = [
  ["j k", "help.move"], ["Enter", "help.open"], ["x", "help.select"], ["s", "help.stop"], ["e", "help.end"], ["g", "help.group"],
  ["/", "help.search"], ["Ctrl K", "help.palette"], ["?", "help.help"],
];

/** Opens it. */
export function openHelpDialog() {
  const close = h("button", { type: "submit", class: "button primary", autofocus: true }, t("dialog.close"));
  const rows = KEYS.map(([keys, text]) =>
    h("div", {}, h("dt", {}, keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, t(text))),
  );
  openDialog(
    { class: "narrow", "aria-labelledby": "help-title" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "help-title" }, t("help.title")),
      h("dl", { class: "keys" }, rows),
      h("h3", {}, t("list.search")),
      h("p", {}, t("help.searching")),
      h("p", {}, h("code", {}, 'host:gpu-07 project:"data platform" state:failed disk')),
      h("div", { class: "dialog-actions" }, close),
    ),
  );
}
