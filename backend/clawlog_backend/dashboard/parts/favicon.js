/** The tab's title and icon, which show what needs attention while the page is out of sight. */

const COLOURS = { calm: "#0b5c63", attention: "#b3261e", offline: "#6b7075" };

const link = document.querySelector('link[rel="icon"]');
let shown = null;

/** Shows how many tasks need attention, whether the server can be reached, and a title for the page. */
export function showAttention({ attention, isOnline, title }) {
  const prefix = isOnline ? (attention > 0 ? `(${attention}) ` : "") : "⚠ ";
  const text = `${prefix}${title} · ClawLog`;
  if (document.title !== text) document.title = text;
  const state = isOnline ? (attention > 0 ? "attention" : "calm") : "offline";
  const label = attention > 9 ? "9+" : String(attention);
  const key = `${state} ${label}`;
  if (key === shown) return;
  shown = key;
  link.href = `data:image/svg+xml,${encodeURIComponent(draw(state, label))}`;
}

/** The mark; where tasks need attention, their count on red, which stays legible at 16 pixels. */
function draw(state, label) {
  const glyph =
    state === "attention"
      ? `<text x="16" y="23.5" font-family="system-ui,sans-serif" font-weight="700" font-size="${label.length > 1 ? 17 : 21}" text-anchor="middle" fill="#fff">${label}</text>`
      : `<path d="M8 24 12 8M14.5 24 18.5 8M21 24 25 8" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="${COLOURS[state]}"/>${glyph}</svg>`;
}
