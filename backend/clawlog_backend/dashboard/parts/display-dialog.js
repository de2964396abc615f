/** How the page is shown: colours, density, times, language, notifications; and a test of those that the server sends. */

import { getNotifications, testNotifications } from "../api/api.js";
import { openDialog } from "./dialog.js";
import { h } from "./element.js";
import { turnNotifications } from "./notifier.js";
import { CHOICES, setSetting, setting } from "./settings.js";
import { t } from "../texts/i18n.js";

/** Opens it. */
export function openDisplayDialog() {
  const fields = Object.entries(CHOICES).flatMap(([name, values]) => {
    const select = h(
      "select",
      { id: `display-${name}` },
      values.map((value) => h("option", { value, selected: value === setting(name) }, t(`display.${name}.${value}`))),
    );
    select.addEventListener("change", async () => {
      if (name === "notifications") select.value = await turnNotifications(select.value);
      else setSetting(name, select.value);
    });
    return [h("label", { for: `display-${name}` }, t(`display.${name}`)), select];
  });
  const test = h("div", { class: "notify-test" });
  offerTest(test);
  const close = h("button", { type: "submit", class: "button primary" }, t("dialog.close"));
  openDialog(
    { class: "narrow", "aria-labelledby": "display-title" },
    h("form", { method: "dialog" }, h("h2", { id: "display-title" }, t("display.title")), fields, test, h("div", { class: "dialog-actions" }, close)),
  );
}

/** Offers to try the targets of notifications; nothing where the server has none. */
async function offerTest(place) {
  let targets;
  try {
    ({ targets } = await getNotifications());
  } catch {
    return; // an older server, or one that is away
  }
  if (targets.length === 0) return;
  const results = h("ul", { role: "status" });
  const button = h("button", { type: "button", class: "button small" }, t("notify.test"));
  button.addEventListener("click", async () => {
    button.disabled = true;
    results.replaceChildren(h("li", {}, t("notify.sending")));
    try {
      results.replaceChildren(...(await testNotifications()).map(result));
    } catch (error) {
      results.replaceChildren(h("li", {}, t("notify.failed", { detail: error.message })));
    }
    button.disabled = false;
  });
  place.replaceChildren(h("p", {}, t("notify.targets", { names: targets.map((target) => target.name).join(", ") })), button, results);
}

function result({ target, delivered, detail }) {
  return h("li", { "data-delivered": String(delivered) }, t(delivered ? "notify.delivered" : "notify.refused", { target, detail }));
}
