/** The top of every page: the way home, the state of the connection, the language, the log-out. */

import { at } from "../api/address.js";
import { h, setAttribute, setText } from "../parts/element.js";
import { language, languages, setLanguage, t } from "../texts/i18n.js";
import { mark } from "../parts/icons.js";
import { State } from "../api/stream.js";
import { age, clock } from "../texts/time.js";

export class Masthead {
  #word = h("span");
  #connection = h("span", { class: "connection" }, h("span", { class: "dot" }), this.#word);
  #noticeText = h("span");
  #notice;
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
    element.replaceChildren(
      h(
        "div",
        { class: "masthead-line" },
        h("a", { class: "home", href: at("/") }, mark(), h("span", {}, "ClawLog")),
        this.#connection,
        h("div", { class: "masthead-tools" }, choice, logOut),
      ),
      this.#notice,
    );
  }

  /** Shows the state of the connection; call again as time passes. */
  show(state = this.#state) {
    this.#state = state;
    setAttribute(this.#connection, "data-state", state);
    this.#connection.hidden = state === State.REFUSED;
    setText(this.#word, this.#connection.hidden ? "" : t(`connection.${state}`));
    this.#notice.hidden = state !== State.DISCONNECTED;
    setText(this.#noticeText, t("connection.notice", { age: age(clock.wall - clock.lastContact) }));
  }
}
