/** The top of every page: the way home, the connection, what the page itself puts there, and how it is shown. */

import { at } from "../api/address.js";
import { State } from "../api/stream.js";
import { openDisplayDialog } from "../parts/display-dialog.js";
import { h, setAttribute, setText } from "../parts/element.js";
import { openHelpDialog } from "../parts/help-dialog.js";
import { icon, mark } from "../parts/icons.js";
import { notifies, turnNotifications } from "../parts/notifier.js";
import { language, languages, setLanguage, t } from "../texts/i18n.js";
import { age, clock } from "../texts/time.js";

export class Masthead {
  #word = h("span");
  #connection = h("span", { class: "connection" }, h("span", { class: "dot" }), this.#word);
  #noticeText = h("span");
  #notice;
  #bell;
  #slot = h("div", { class: "masthead-slot" });
  #state = State.CONNECTING;

  /** `canLogOut`: whether there is a session to end. */
  constructor({ element, canLogOut, onRetry, onLogOut }) {
    const retry = h("button", { type: "button", class: "button small", click: onRetry }, t("connection.retry"));
    this.#notice = h("div", { class: "notice", hidden: true }, this.#noticeText, retry);
    const choice = h("select", { id: "language", "aria-label": t("language.label") });
    for (const [tag, name] of languages()) choice.append(h("option", { value: tag, lang: tag, selected: tag === language() }, name));
    choice.addEventListener("change", () => setLanguage(choice.value));
    const logOut = h("button", { type: "button", class: "button small", click: onLogOut }, t("session.end"));
    logOut.hidden = !canLogOut;
    this.#bell = tool("bell", t("display.notifications"), async () => {
      await turnNotifications(notifies() ? "off" : "on");
      this.show();
    });
    this.#bell.hidden = !globalThis.Notification;
    element.replaceChildren(
      h(
        "div",
        { class: "masthead-line" },
        h("a", { class: "home", href: at("/") }, mark(), h("span", {}, "ClawLog")),
        this.#connection,
        this.#slot,
        h(
          "div",
          { class: "masthead-tools" },
          this.#bell,
          tool("help", t("help.title"), openHelpDialog),
          tool("gear", t("display.title"), openDisplayDialog),
          choice,
          logOut,
        ),
      ),
      this.#notice,
    );
  }

  /** Puts the tools of a page into the line; none with null. */
  place(tools) {
    this.#slot.replaceChildren(...(tools === null ? [] : [tools]));
  }

  /** Shows the state of the connection; call again as time passes. */
  show(state = this.#state) {
    this.#state = state;
    setAttribute(this.#connection, "data-state", state);
    this.#connection.hidden = state === State.REFUSED;
    setText(this.#word, this.#connection.hidden ? "" : t(`connection.${state}`));
    setAttribute(this.#bell, "aria-pressed", String(notifies()));
    this.#notice.hidden = state !== State.DISCONNECTED;
    setText(this.#noticeText, t("connection.notice", { age: age(clock.wall - clock.lastContact) }));
  }
}

function tool(name, label, click) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, click }, icon(name));
}
