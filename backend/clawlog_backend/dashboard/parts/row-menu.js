/**
 * The menu of a task in the list: everything that a person can do about it, beside the one that its row offers.
 *
 * It follows the pattern for menu buttons of the ARIA Authoring Practices: arrows move, Escape and Tab close it, and the focus
 * goes back to its button.
 */

import { at } from "../api/address.js";
import { CAN } from "../api/states.js";
import { t } from "../texts/i18n.js";
import { h, setAttribute } from "./element.js";

const MARGIN = 4;

/** What takes the row away from below the menu. */
const ENDS = ["scroll", "resize", "popstate"];

const KEYS = { ArrowDown: 1, ArrowUp: -1 };

/** Opens the menu of `task` at `button`; `onAction(action, task)` is called for what is chosen, but for its page and its link. */
export function openRowMenu(button, task, { onAction }) {
  const path = at(`/tasks/${encodeURIComponent(task.id)}`);
  const close = () => menu.hidePopover();
  const item = (name, attributes, text) => h(name, { role: "menuitem", tabindex: "-1", class: "menu-item", ...attributes }, text);
  const act = (run) => () => {
    close();
    button.focus({ preventScroll: true });
    run();
  };
  const copy = () => navigator.clipboard.writeText(new URL(path, window.location.href).href);
  const possible = Object.keys(CAN).filter((action) => CAN[action](task));
  const items = [
    item("a", { href: path, click: close }, t("menu.open")),
    // Browsers give the clipboard to pages from this machine or over HTTPS alone.
    navigator.clipboard ? item("button", { type: "button", click: act(copy) }, t("task.copy")) : null,
    ...possible.map((action) => item("button", { type: "button", "data-action": action, click: act(() => onAction(action, task)) }, t(`action.${action}`))),
  ].filter((each) => each !== null);
  const menu = h("div", { role: "menu", class: "menu", popover: "auto", "aria-label": t("menu.label", { title: task.title }) }, items);

  menu.addEventListener("keydown", (event) => {
    const place = items.indexOf(document.activeElement);
    const next = { Home: 0, End: items.length - 1 }[event.key] ?? (event.key in KEYS ? (place + KEYS[event.key] + items.length) % items.length : null);
    event.stopPropagation(); // the list's own keys are not meant
    if (event.key === "Escape" || event.key === "Tab") act(() => {})();
    else if (next !== null) items[next].focus();
    else return;
    event.preventDefault();
  });
  menu.addEventListener("toggle", (event) => {
    if (event.newState === "open") return;
    for (const name of ENDS) window.removeEventListener(name, close);
    setAttribute(button, "aria-expanded", "false");
    menu.remove();
  });

  document.getElementById("main").append(menu);
  menu.showPopover();
  place(menu, button.getBoundingClientRect());
  setAttribute(button, "aria-expanded", "true");
  for (const name of ENDS) window.addEventListener(name, close, { passive: true });
  items[0].focus({ preventScroll: true });
}

/** Below the button, or above it where there is no room. */
function place(menu, { top, bottom, right }) {
  const { width, height } = menu.getBoundingClientRect();
  const below = bottom + MARGIN;
  menu.style.left = `${Math.max(MARGIN, right - width)}px`;
  menu.style.top = `${below + height > window.innerHeight - MARGIN ? Math.max(MARGIN, top - height - MARGIN) : below}px`;
}
