/** A task's metadata and id. A value that is a web address is a link. */

import { h, setText } from "./element.js";
import { webLink } from "./web-link.js";
import { t } from "../texts/i18n.js";

export class MetadataCard {
  #shown = "";
  #list = h("dl", { class: "metadata" });
  #copied = h("span", { role: "status" });

  element;

  constructor({ taskId }) {
    const copy = h("button", { type: "button", class: "button small", click: () => this.#copyLink() }, t("task.copy"));
    // Browsers give the clipboard to pages from this machine or over HTTPS alone.
    copy.hidden = !navigator.clipboard;
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": "metadata-title" },
      h("div", { class: "card-head" }, h("h2", { id: "metadata-title" }, t("task.metadata")), h("span", { class: "copy" }, this.#copied, copy)),
      this.#list,
      h("p", { class: "task-id" }, h("span", { class: "muted" }, `${t("task.id")} `), h("code", {}, taskId)),
    );
  }

  update({ metadata }) {
    const shown = JSON.stringify(metadata);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#list.replaceChildren(...metadata.map(([name, value]) =>
      h("div", {}, h("dt", { dir: "auto" }, name), h("dd", { dir: "auto" }, isWebAddress(value) ? webLink({ url: value, name: value }) : String(value))),
    ));
  }

  async #copyLink() {
    await navigator.clipboard.writeText(window.location.href);
    setText(this.#copied, t("task.copied"));
    setTimeout(() => setText(this.#copied, ""), 2000);
  }
}

function isWebAddress(value) {
  return /^https?:\/\/\S+$/.test(value) && URL.canParse(value);
}
