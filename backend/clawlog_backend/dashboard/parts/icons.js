/** The dashboard's icons: one 16-unit outline each, drawn in the current colour and hidden from screen readers. */

import { svg } from "./element.js";

const OUTLINES = {
  pending: "M8 2.500a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11z",
  running: "M8 2.500a5.5 5.5 0 1 0 5.5 5.500M8 5v3.200l2 1.3",
  waiting: "M5.5 6.200a2.5 2.5 0 1 1 3.6 2.250c-.8.4-1.1.9-1.1 1.750M8 12.400v.4",
  close: "M3 4.500h10v2.500H3zM4 7v5.500h8V7M6.500 9.300h3",
  acknowledge: "M1.500 8.700l2.800 2.800L9.500 5M8 10.700l.8.8L14 5",
  task: "M3 3.500h10v9H3zM5.500 6.500h5M5.500 9.500h3",
  done: "M3 8.500l3.2 3.200L13 4.8",
  failed: "M4 4l8 8M12 4l-8 8",
  skipped: "M4 8h8M9 5l3 3l-3 3",
  interrupted: "M4 4h8v8H4z",
  unfinished: "M4 4h8v8H4z",
  stopping: "M4 4h8v8H4z",
  stale: "M8 2.500a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11zM8 5v3.500M8 10.600v.4",
  attention: "M8 2.300l6.2 11.200H1.800zM8 6.500v3.200M8 11.500v.3",
  search: "M7 2.500a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9zM10.4 10.400L14 14",
  back: "M9.5 3.500L5 8l4.5 4.5",
  link: "M6.5 9.500l3-3M7 4.500l1.3-1.300a3 3 0 0 1 4.3 4.300L11.5 9M9 11.500l-1.3 1.300a3 3 0 0 1-4.3-4.300L4.5 7",
  lost: "M4 4l8 8M12 4l-8 8M8 1.500a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13z",
  fold: "M4.500 6.500L8 10l3.500-3.500",
  bell: "M4 11.500h8c-1-1-1.200-2-1.200-4.300a2.800 2.800 0 0 0-5.600 0c0 2.300-.2 3.300-1.200 4.300zM7 13.500h2",
  gear: "M2 5h7M12 5h2M2 11h2M7 11h7M10.500 3.500v3M5.500 9.500v3",
  help: "M6 6.200a2 2 0 1 1 2.900 1.800c-.6.3-.9.7-.9 1.400M8 11.500v.4M8 1.800a6.200 6.200 0 1 0 0 12.400a6.200 6.200 0 0 0 0-12.400z",
  beat: "M1.5 8.500h3l1.7-4.500l2.8 8l1.8-3.500h3.7",
};

/** The icon of that name, as an `<svg>`. */
export function icon(name) {
  return svg(
    "svg",
    { class: `icon icon-${name}`, viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: OUTLINES[name] ?? OUTLINES.pending }),
  );
}

/** Points an icon made by `icon` at another outline. */
export function setIcon(node, name) {
  const outline = OUTLINES[name] ?? OUTLINES.pending;
  if (node.firstChild.getAttribute("d") === outline) return;
  node.firstChild.setAttribute("d", outline);
  node.setAttribute("class", `icon icon-${name}`);
}

/** The project's mark: three strokes, as a claw leaves them. */
export function mark() {
  return svg(
    "svg",
    { class: "mark", viewBox: "0 0 32 32", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: "M8 24 12 8M14.5 24 18.5 8M21 24 25 8" }),
  );
}
