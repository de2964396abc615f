/**
 * A long list of which only the part in the window is in the document.
 *
 * Rows have known heights and keep their identity by key: a row is patched in place, moves with its item, and keeps
 * the keyboard focus. The window scrolls, so that the list behaves like any page.
 */

/** Pixels above and below the window that are kept ready. */
const OVERSCAN = 400;

export class VirtualList {
  #makeRow;
  #rows = new Map();
  #items = [];
  #offsets = [0];
  #frame = null;

  element;

  /** `makeRow(item)` returns `{element, update(item)}`; items are `{key, height, …}`. */
  constructor({ element, makeRow }) {
    this.element = element;
    this.#makeRow = makeRow;
    window.addEventListener("scroll", this.#schedule, { passive: true });
    window.addEventListener("resize", this.#schedule, { passive: true });
  }

  /** Whether the end of the list is in or near the window. */
  get isNearEnd() {
    return this.element.getBoundingClientRect().bottom < 2 * window.innerHeight;
  }

  /** Shows these items, or the same ones anew. */
  show(items) {
    this.#items = items;
    this.#offsets = [0];
    for (const item of items) this.#offsets.push(this.#offsets.at(-1) + item.height);
    this.element.style.height = `${this.#offsets.at(-1)}px`;
    this.#draw();
  }

  /** Drops all rows, so that they are made anew. */
  reset() {
    this.#rows.clear();
    this.element.replaceChildren();
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
    const keys = new Set(visible.map(({ item }) => item.key));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
    let next = this.element.firstElementChild;
    for (const { item, top } of visible) {
      let row = this.#rows.get(item.key);
      if (!row) {
        row = this.#makeRow(item);
        this.#rows.set(item.key, row);
      }
      row.update(item);
      row.element.style.transform = `translateY(${top}px)`;
      row.element.style.height = `${item.height}px`;
      if (row.element === next) next = next.nextElementSibling;
      else this.element.insertBefore(row.element, next);
    }
    // Moving a row in the document takes the focus from it.
    if (focused !== document.activeElement && this.element.contains(focused)) focused.focus({ preventScroll: true });
  }

  #visible() {
    const top = this.element.getBoundingClientRect().top;
    const from = this.#indexAt(-top - OVERSCAN);
    const to = this.#indexAt(-top + window.innerHeight + OVERSCAN);
    const visible = [];
    for (let i = from; i <= to && i < this.#items.length; i += 1) {
      visible.push({ item: this.#items[i], top: this.#offsets[i] });
    }
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
