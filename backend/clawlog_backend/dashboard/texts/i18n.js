/** The language of the page: chosen by the reader, else by the browser, and the texts in it. */

import { TEXTS } from "./texts.js";

const STORED = "clawlog.language";
const changes = new EventTarget();

let current = stored() ?? preferred();

function stored() {
  const value = readSetting(STORED);
  return value in TEXTS ? value : null;
}

function preferred() {
  for (const tag of navigator.languages ?? []) {
    const primary = tag.toLowerCase().split("-")[0];
    if (primary === "zh") return "zh-CN";
    if (primary in TEXTS) return primary;
  }
  return "en";
}

/** What the browser remembers under that name; null where it remembers nothing, or must not. */
export function readSetting(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Asks the browser to remember; where storage is forbidden, the setting lasts as long as the page. */
export function writeSetting(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // The page works without.
  }
}

/** The BCP 47 tag of the language in use. */
export function language() {
  return current;
}

/** The languages there are, as `[tag, own name]`. */
export function languages() {
  return Object.entries(TEXTS).map(([tag, texts]) => [tag, texts["language.name"]]);
}

/** Switches the language, remembers it, and calls the listeners of `onLanguageChange`. */
export function setLanguage(tag) {
  if (!(tag in TEXTS) || tag === current) return;
  current = tag;
  writeSetting(STORED, tag);
  changes.dispatchEvent(new Event("change"));
}

/** Calls `listener` at each switch of language. */
export function onLanguageChange(listener) {
  changes.addEventListener("change", listener);
}

/**
 * The text of that key, with `{name}` replaced by `values.name`.
 *
 * A text with two forms, `[one, other]`, is chosen by `values.n`. An unknown key is shown as it is, so that a kind of
 * event that a newer server sends stays readable.
 */
export function t(key, values = {}) {
  let text = TEXTS[current][key] ?? TEXTS.en[key] ?? key;
  if (Array.isArray(text)) text = text[values.n === 1 ? 0 : 1];
  return text.replaceAll(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Whether there is a text of that key. */
export function hasText(key) {
  return key in TEXTS.en;
}

/** A count with the grouping of the language in use. */
export function count(n) {
  return n.toLocaleString(current);
}
