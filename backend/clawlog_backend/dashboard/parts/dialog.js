/** A dialog over the page. The focus goes back to where it was when it closes, or to the page's content when that is gone. */

import { h } from "./element.js";

/** Opens a dialog with that content; its `close` event comes when it is gone. */
export function openDialog(attributes, ...content) {
  const opener = document.activeElement;
  const dialog = h("dialog", { ...attributes, class: `dialog ${attributes.class ?? ""}`.trim() }, content);
  // Pressed, not clicked: a selection dragged out of a text must not throw away what was written.
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    // The browser gave the focus back when it closed, and tells of it later: whoever has gone on since keeps it.
    const isElsewhere = document.activeElement !== document.body && !dialog.contains(document.activeElement);
    dialog.remove();
    if (isElsewhere) return;
    const isThere = opener?.isConnected && opener.checkVisibility();
    (isThere ? opener : document.getElementById("main")).focus({ preventScroll: true });
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
