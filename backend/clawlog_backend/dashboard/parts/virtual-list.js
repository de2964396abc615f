/**
 * A long list of which only the part in the window is in the document.
 *
 * Rows have known heights and keep their identity by key: a row is patched in place, moves with its item, and keeps the
 * keyboard focus. A row that leaves the window is used again for one that enters it, since patching is much quicker than
 * making. The window scrolls, so that the list behaves like any page.
 */

/** Pixels above and below the window that are kept ready. */
const OVERSCAN = 200;

/** What of the window lies under what stays in it, at the top. */
const COVERED = 110;

export class VirtualList {
  #makeRow;
  #onShow;
  #rows = new Map();
  #spare = new Map();
  #idle = new Set();
  #items = [];
  #offsets = [0];
  #frame = null;
  #shownKeys = "";

  element;
  /** The items that are in the document. */
  shown = [];

  /** `makeRow(item)` returns `{element, update(item)}`; items are `{key, kind, height, …}`; `onShow(items)`: other ones are shown. */
  constructor({ element, makeRow, onShow }) {
    this.element = element;
    this.#makeRow = makeRow;
    this.#onShow = onShow;
    window.addEventListener("scroll", this.#schedule, { passive: true });
    window.addEventListener("resize", this.#schedule, { passive: true });
  }

  /** Whether the end of the list is in or near the window. */
  get isNearEnd() {
    return this.element.getBoundingClientRect().bottom < 2 * window.innerHeight;
  }

  /** The key of the item that has the keyboard focus, or null. */
  get focused() {
    const row = document.activeElement?.closest(".row");
    for (const [key, { element }] of this.#rows) if (element === row) return key;
    return null;
  }

  /** Shows these items, or the same ones anew. */
  show(items) {
    this.#items = items;
    this.#offsets = [0];
    for (const item of items) this.#offsets.push(this.#offsets.at(-1) + item.height);
    this.element.style.height = `${this.#offsets.at(-1)}px`;
    this.#draw();
  }

  /** Brings the item of that key into view and gives its link the focus. */
  focus(key) {
    const place = this.#items.findIndex((item) => item.key === key);
    if (place < 0) return;
    const top = this.element.getBoundingClientRect().top + this.#offsets[place];
    const bottom = top + this.#items[place].height;
    if (top < COVERED) window.scrollBy(0, top - COVERED);
    else if (bottom > window.innerHeight - 8) window.scrollBy(0, bottom - window.innerHeight + 8);
    this.#draw();
    this.#rows.get(key)?.element.querySelector("a").focus({ preventScroll: true });
  }

  #schedule = () => {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      if (this.element.isConnected) this.#draw();
    });
  };

  #draw() {
    const visible = this.#visible();
    const focused = document.activeElement;
    this.#release(new Set(visible.map(({ item }) => item.key)), focused);
    let next = this.element.firstElementChild;
    for (const { item, top } of visible) {
      const row = this.#rowFor(item);
      if (row.item !== item) row.update(item); // while one scrolls, most are shown as they were
      row.item = item;
      this.#put(row, top, item.height);
      while (next !== null && this.#idle.has(next)) next = next.nextElementSibling;
      if (row.element === next) next = next.nextElementSibling;
      else this.element.insertBefore(row.element, next);
    }
    for (const element of this.#idle) element.remove();
    // Moving a row in the document takes the focus from it.
    if (focused !== document.activeElement && this.element.contains(focused)) focused.focus({ preventScroll: true });
    this.shown = visible.map(({ item }) => item);
    const keys = this.shown.map(({ key }) => key).join(" ");
    if (keys === this.#shownKeys) return;
    this.#shownKeys = keys;
    this.#onShow(this.shown);
  }

  /** Puts rows aside that are not shown any more; one with the focus is let go of, so that the focus does not move with it. */
  #release(keys, focused) {
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      this.#rows.delete(key);
      if (row.element.contains(focused)) {
        row.element.remove();
        continue;
      }
      this.#idle.add(row.element);
      if (!this.#spare.has(row.kind)) this.#spare.set(row.kind, []);
      this.#spare.get(row.kind).push(row);
    }
  }

  #rowFor(item) {
    let row = this.#rows.get(item.key);
    if (row) return row;
    // The first that was put aside lies first in the document: where all are used again, none has to move.
    row = this.#spare.get(item.kind)?.shift() ?? this.#makeRow(item);
    row.kind = item.kind;
    this.#idle.delete(row.element);
    this.#rows.set(item.key, row);
    return row;
  }

  #put(row, top, height) {
    if (row.top !== top) row.element.style.transform = `translateY(${top}px)`;
    if (row.height !== height) row.element.style.height = `${height}px`;
    row.top = top;
    row.height = height;
  }

  #visible() {
    const top = this.element.getBoundingClientRect().top;
    const from = this.#indexAt(-top - OVERSCAN);
    const to = this.#indexAt(-top + window.innerHeight + OVERSCAN);
    const visible = [];
    for (let i = from; i <= to && i < this.#items.length; i += 1) visible.push({ item: this.#items[i], top: this.#offsets[i] });
    return visible;
  }

  /** The index of the item at that height, by bisection. */
  #indexAt(y) {
    let low = 0;
    let high = Math.max(0, this.#items.length - 1);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#offsets[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
