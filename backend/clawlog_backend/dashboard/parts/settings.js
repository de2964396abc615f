/** What a reader chose for this browser: colours, density, how times are shown, notifications. Remembered, and never in a link. */

import { readSetting, writeSetting } from "../texts/i18n.js";

/** The settings with their values, the usual one first. */
export const CHOICES = Object.freeze({
  theme: ["auto", "light", "dark"],
  density: ["normal", "compact"],
  times: ["relative", "absolute"],
  notifications: ["off", "on"],
});

const changes = new EventTarget();
const chosen = new Map();

for (const [name, values] of Object.entries(CHOICES)) {
  const stored = readSetting(`clawlog.${name}`);
  chosen.set(name, values.includes(stored) ? stored : values[0]);
}
apply();

/** The value of a setting. */
export function setting(name) {
  return chosen.get(name);
}

/** Sets a setting, remembers it, and calls the listeners of `onSettingChange`. */
export function setSetting(name, value) {
  if (chosen.get(name) === value) return;
  chosen.set(name, value);
  writeSetting(`clawlog.${name}`, value);
  apply();
  changes.dispatchEvent(new Event("change"));
}

/** Sets a setting to the value after the present one. */
export function nextSetting(name) {
  const values = CHOICES[name];
  setSetting(name, values[(values.indexOf(setting(name)) + 1) % values.length]);
}

/** Calls `listener` after each change. */
export function onSettingChange(listener) {
  changes.addEventListener("change", listener);
}

function apply() {
  document.documentElement.dataset.theme = chosen.get("theme");
  document.documentElement.dataset.density = chosen.get("density");
}
