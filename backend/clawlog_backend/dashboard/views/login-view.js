/** Asks for the access token, where the server wants one. */

import { logIn } from "../api/api.js";
import { h, setText } from "../parts/element.js";
import { t } from "../texts/i18n.js";

/** The log-in form; `onLoggedIn(session)` is called once the server has accepted the token. */
export function loginView({ onLoggedIn }) {
  const token = h("input", {
    type: "password", id: "token", name: "token", required: true, autocomplete: "current-password", autofocus: true,
  });
  const error = h("p", { class: "form-error", role: "alert" });
  const submit = h("button", { type: "submit", class: "button primary" }, t("login.submit"));
  const form = h(
    "form",
    { class: "card login" },
    h("h1", {}, t("login.title")),
    h("p", { class: "muted" }, t("login.explain")),
    h("label", { for: "token" }, t("login.token")),
    token,
    error,
    submit,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    setText(error, "");
    try {
      onLoggedIn(await logIn(token.value));
    } catch (failure) {
      const isWrong = failure.status === 401 || failure.status === 403;
      setText(error, isWrong ? t("login.wrong") : t("login.failed", { detail: failure.message || t("error.network") }));
      token.select();
    } finally {
      submit.disabled = false;
    }
  });
  return form;
}
