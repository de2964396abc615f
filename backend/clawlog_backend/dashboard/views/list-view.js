/** The page of all tasks: filters, search, and the live list. */

import { at } from "../api/address.js";
import { h, setAttribute } from "../parts/element.js";
import { showAttention } from "../parts/favicon.js";
import { FilterBar, listAddress } from "../parts/filter-bar.js";
import { count, t } from "../texts/i18n.js";
import { ListLoader } from "../api/list-loader.js";
import { readTask } from "../api/model.js";
import { openActionDialog } from "../parts/action-dialog.js";
import { FILTERS, Group, TaskStore } from "../api/store.js";
import { GroupRow, TaskRow } from "../parts/task-row.js";
import { clock } from "../texts/time.js";
import { VirtualList } from "../parts/virtual-list.js";

/** Changes are drawn together; with very many tasks, less often. */
const DRAW_AFTER_MS = 60;
const DRAW_MANY_AFTER_MS = 300;
const MANY = 1000;

/** Counts of ended tasks come from the server, at most this often. */
const COUNTS_AFTER_MS = 1500;

const HEIGHTS = { wide: { row: 66, measure: 0, group: 46 }, narrow: { row: 168, measure: 20, group: 44 } };
const NARROW = window.matchMedia("(max-width: 920px)");

export class ListView {
  streamPath = "/api/stream";

  #navigate;
  #store = new TaskStore();
  #loader = new ListLoader({ store: this.#store, onChange: () => this.#schedule() });
  #query = { filter: "all", q: "" };
  #isOpen = false;
  #scrollY = 0;
  #drawTimer = null;
  #countsTimer = null;
  #isOnline = true;

  #filterBar;
  #rows = h("ul", { class: "rows", "aria-label": t("list.label") });
  #list;
  #state = h("div", { class: "list-state" });
  #shownState = null;

  element;

  /** `navigate(address, {replace})` goes to another page of the dashboard. */
  constructor({ navigate }) {
    this.#navigate = navigate;
    this.#filterBar = new FilterBar({
      onSearch: (q) => navigate(listAddress({ ...this.#query, q }), { replace: true }),
    });
    this.#list = new VirtualList({ element: this.#rows, makeRow: (item) => this.#makeRow(item) });
    this.element = h(
      "div",
      { class: "list-page" },
      h("h1", { class: "visually-hidden" }, t("list.title")),
      this.#filterBar.element,
      this.#rows,
      this.#state,
    );
    window.addEventListener("scroll", () => this.#loadMoreNearEnd(), { passive: true });
    NARROW.addEventListener("change", () => this.#draw());
  }

  /** Shows the view for an address. What is known is shown at once; the stream's greeting brings it up to date. */
  open(url) {
    const filter = url.searchParams.get("status");
    const query = { filter: FILTERS.includes(filter) ? filter : "all", q: url.searchParams.get("q") ?? "" };
    const isChanged = query.filter !== this.#query.filter || query.q !== this.#query.q;
    const wasOpen = this.#isOpen;
    this.#query = query;
    this.#isOpen = true;
    this.#filterBar.select(query);
    if (wasOpen && isChanged) {
      window.scrollTo(0, 0);
      void this.#loader.start(query);
    }
    this.#draw();
    if (!wasOpen) window.scrollTo(0, this.#scrollY);
  }

  close() {
    this.#scrollY = window.scrollY;
    this.#isOpen = false;
  }

  /** Takes an event of the change stream. */
  onEvent(name, data) {
    if (name === "reset") this.#store.clear();
    if (name === "hello" || name === "reset") void this.refresh();
    if (name === "task") this.#takeIn(readTask(data));
  }

  /** Brings what is shown up to date; resolves with whether that worked. */
  async refresh() {
    await this.#loader.start(this.#query);
    return this.#loader.state === "ready";
  }

  /** The server refused the stream; loading the list shows why. */
  onRefused() {
    void this.refresh();
  }

  /** The connection came or went. */
  onConnection(isOnline) {
    this.#isOnline = isOnline;
    setAttribute(this.element, "data-offline", !isOnline);
    this.#draw();
  }

  /** A second has passed. */
  tick() {
    this.#draw();
  }

  /** The key `/` leads to the search. */
  focusSearch() {
    this.#filterBar.focusSearch();
  }

  #takeIn(task) {
    const known = this.#store.get(task.id);
    this.#store.put(task);
    this.#schedule();
    if (known?.status === task.status && known.attention?.acknowledgedAt === task.attention?.acknowledgedAt) return;
    this.#countsTimer ??= setTimeout(() => {
      this.#countsTimer = null;
      void this.#loader.refreshCounts();
    }, COUNTS_AFTER_MS);
  }

  #schedule() {
    this.#drawTimer ??= setTimeout(() => this.#draw(), this.#store.size > MANY ? DRAW_MANY_AFTER_MS : DRAW_AFTER_MS);
  }

  #draw() {
    clearTimeout(this.#drawTimer);
    this.#drawTimer = null;
    if (!this.#isOpen) return;
    const now = clock.now();
    const chosen = this.#store.select({ ...this.#query, found: this.#loader.found, now });
    const counts = this.#counts(now);
    this.#filterBar.showCounts(counts);
    this.#list.show(this.#items(chosen));
    this.#showState(chosen.length);
    this.#loadMoreNearEnd();
    showAttention({
      attention: counts.attention,
      isOnline: this.#isOnline,
      title: t("title.list", { active: count(counts.active ?? 0) }),
    });
  }

  /** All tasks in progress are here, so that what concerns them alone is counted on the spot. */
  #counts(now) {
    const counts = { ...this.#loader.counts };
    if (this.#loader.state === "ready") Object.assign(counts, this.#store.count(["active", "stopping", "waiting", "stale"], now));
    counts.attention = this.#store.count(["attention"], now).attention;
    return counts;
  }

  /** The rows to show: the tasks, with a heading before each group when there is more than one. */
  #items(chosen) {
    const heights = NARROW.matches ? HEIGHTS.narrow : HEIGHTS.wide;
    const sizes = new Map();
    for (const { group } of chosen) sizes.set(group, (sizes.get(group) ?? 0) + 1);
    const items = [];
    let last = null;
    chosen.forEach(({ task, group }, i) => {
      if (group !== last && sizes.size > 1) {
        const name = { [Group.ATTENTION]: "attention", [Group.ACTIVE]: "active", [Group.ENDED]: "ended" }[group];
        const isCut = group === Group.ENDED && this.#loader.hasMore;
        const n = count(sizes.get(group)) + (isCut ? "+" : "");
        items.push({ key: `group ${name}`, height: heights.group, kind: "group", name, n });
      }
      last = group;
      const height = heights.row + (task.measure === null ? 0 : heights.measure);
      items.push({ key: task.id, height, kind: "task", task, index: i + 1, size: chosen.length });
    });
    return items;
  }

  #makeRow(item) {
    if (item.kind === "group") return new GroupRow();
    const onDone = (action, task) => (action === "stop" ? this.#showStopped(task) : void this.refresh());
    return new TaskRow({ onAction: (action, task) => openActionDialog(action, task, { onDone: () => onDone(action, task) }) });
  }

  /** After a stop was asked for, the task's page shows its receipts as they come. */
  #showStopped(task) {
    this.#navigate(at(`/tasks/${encodeURIComponent(task.id)}`));
  }

  #loadMoreNearEnd() {
    if (this.#isOpen && this.#loader.hasMore && this.#list.isNearEnd) void this.#loader.more();
  }

  #showState(shown) {
    const { state, error, isLoadingMore } = this.#loader;
    const { filter, q } = this.#query;
    let name = null;
    if (state === "failed" && this.#isOnline) name = "failed";
    else if (shown > 0) name = isLoadingMore ? "more" : null;
    else if (state === "loading") name = "loading";
    else if (state === "ready") name = this.#store.size === 0 && !q ? "empty" : "none";
    const key = [name, filter, q, error?.message].join(" ");
    if (key === this.#shownState) return;
    this.#shownState = key;
    this.#state.replaceChildren(...this.#stateNodes(name));
  }

  #stateNodes(name) {
    const { filter, q } = this.#query;
    switch (name) {
      case "loading":
        return [h("p", { class: "muted" }, t("list.loading")), ...Array.from({ length: 6 }, () => h("div", { class: "ghost" }))];
      case "more":
        return [h("p", { class: "muted" }, t("list.more"))];
      case "failed":
        return [h("p", { class: "form-error", role: "alert" }, t("list.failed", { detail: this.#loader.error.message || t("error.network") }))];
      case "empty":
        return [
          h("h2", {}, t("list.empty")),
          h("p", { class: "muted" }, t("list.empty.hint")),
          h("pre", { class: "command", tabindex: "0" }, `clawlog run --title "…" -- sleep 60`),
        ];
      case "none": {
        const text = q ? t("list.none.search", { q }) : t(filter === "attention" ? "list.none.attention" : "list.none.filter");
        const all = h("a", { class: "button", href: at("/") }, t("list.show.all"));
        return [h("h2", {}, t("list.none")), h("p", { class: "muted", dir: "auto" }, text), all];
      }
      default:
        return [];
    }
  }
}
