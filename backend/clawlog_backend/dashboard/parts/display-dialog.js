/** How the page is shown: colours, density, times, language, notifications. */

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
  const close = h("button", { type: "submit", class: "button primary" }, t("dialog.close"));
  openDialog(
    { class: "narrow", "aria-labelledby": "display-title" },
    h("form", { method: "dialog" }, h("h2", { id: "display-title" }, t("display.title")), fields, h("div", { class: "dialog-actions" }, close)),
  );
}
