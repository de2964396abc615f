/**
 * Builds and patches DOM nodes.
 *
 * Data enters the page through this module as text nodes and attributes only. Nothing here parses markup, so that a
 * task's title or summary can never become any.
 */

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. `attributes` with a false or null value are left out; a function is a listener for that event. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element, with the same conventions as `h`. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else setAttribute(node, name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Sets, or with null or false removes, an attribute; touches the DOM only when that changes something. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

/** Sets a node's text; touches the DOM only when that changes something. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Whether the reader asked for a link in a way the browser itself should handle: new tab, new window, download. */
export function isPlainClick(event) {
  return event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
}
