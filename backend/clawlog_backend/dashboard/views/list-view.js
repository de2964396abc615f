/** The page of all tasks: counts that filter, groups, and the live list. */

import { at } from "../api/address.js";
import { arrange } from "../api/arrange.js";
import { ListLoader } from "../api/list-loader.js";
import { readTask, withSign } from "../api/model.js";
import { GROUPS, listAddress, readQuery } from "../api/query.js";
import { parseSearch } from "../api/search.js";
import { CAN } from "../api/states.js";
import { TaskStore, countStates, filtered, withFleet } from "../api/store.js";
import { openActionDialog } from "../parts/action-dialog.js";
import { CountsBar } from "../parts/counts-bar.js";
import { h, setAttribute } from "../parts/element.js";
import { showAttention } from "../parts/favicon.js";
import { GroupRow } from "../parts/group-row.js";
import { ListTools } from "../parts/list-tools.js";
import { notify } from "../parts/notifier.js";
import { SelectionBar } from "../parts/selection-bar.js";
import { setting } from "../parts/settings.js";
import { PLACES, TaskRow } from "../parts/task-row.js";
import { VirtualList } from "../parts/virtual-list.js";
import { count, t } from "../texts/i18n.js";
import { clock } from "../texts/time.js";
import { onListKey } from "./list-keys.js";
import { stateNodes } from "./list-state.js";

/** Changes are drawn together; with very many tasks, less often. */
const DRAW_AFTER_MS = 60;
const DRAW_MANY_AFTER_MS = 700;
const MANY = 1000;

const HEIGHTS = { normal: { row: 36, group: 28 }, compact: { row: 28, group: 26 }, narrow: { row: 64, group: 30 } };
const NARROW = window.matchMedia("(max-width: 920px)");

export class ListView {
  streamPath = "/api/stream";
  tools;

  #navigate;
  #store = new TaskStore();
  #loader = new ListLoader({ store: this.#store, onChange: () => this.#schedule() });
  #query = readQuery(new URL("http://list/"));
  #search = parseSearch("");
  #selection = new Set();
  #lastSelected = null;
  #groups = [];
  #items = [];
  #isOpen = false;
  #scrollY = 0;
  #drawTimer = null;
  #drawnAt = 0;
  #isOnline = true;
  #fleet = null;
  #onWatch = () => {};

  #countsBar = new CountsBar();
  #selectionBar;
  #rows = h("ul", { class: "rows", "aria-label": t("list.label") });
  #list;
  #state = h("div", { class: "list-state" });
  #shownState = null;

  element;

  /** `navigate(address, {replace})` goes to another page of the dashboard. */
  constructor({ navigate }) {
    this.#navigate = navigate;
    this.tools = new ListTools({ onChange: (changes) => this.#change(changes, { replace: "q" in changes }) });
    this.#selectionBar = new SelectionBar({
      onAction: (action) => this.#act(action, this.#selected().filter(CAN[action])),
      onClear: () => this.#select([]),
    });
    this.#list = new VirtualList({ element: this.#rows, makeRow: (item) => this.#makeRow(item), onShow: (items) => this.#watch(items) });
    this.element = h(
      "div",
      { class: "list-page" },
      h("h1", { class: "visually-hidden" }, t("list.title")),
      this.#countsBar.element,
      this.#rows,
      this.#state,
      this.#selectionBar.element,
    );
    window.addEventListener("scroll", () => this.#loadMoreNearEnd(), { passive: true });
    NARROW.addEventListener("change", () => this.#draw());
  }

  /** Shows the view for an address. What is known is shown at once; the stream's greeting brings it up to date. */
  open(url) {
    const before = this.#query;
    const wasOpen = this.#isOpen;
    this.#query = readQuery(url);
    this.#search = parseSearch(this.#query.q);
    this.#isOpen = true;
    this.tools.select(this.#query);
    this.#countsBar.select(this.#query);
    const isNew = ["filter", "q", "group", "sort", "range"].some((name) => before[name] !== this.#query[name]);
    if (wasOpen && isNew) window.scrollTo(0, 0);
    if (wasOpen && (before.q !== this.#query.q || before.range !== this.#query.range)) void this.refresh();
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
    if (name === "reset" || (name === "hello" && (!data.isResumed || this.#loader.state === "failed"))) void this.refresh();
    if (name === "task") this.#takeIn(readTask(data));
    if (name === "liveness") this.#takeInSign(data);
    if (name === "counts") this.#takeInCounts(data);
  }

  /** Has `watch(ids)` called with the tasks on the screen, whose signs of life are wanted. */
  onWatch(watch) {
    this.#onWatch = watch;
    this.#watch(this.#list.shown);
  }

  /** Brings what is shown up to date; resolves with whether that worked. */
  async refresh() {
    await this.#loader.start({ range: this.#query.range, search: this.#search });
    return this.#loader.state === "ready";
  }

  /** Brings the title and the icon up to date while the page is out of sight; resolves with whether that worked. */
  async refreshHidden() {
    return this.#loader.catchUp(clock.lastContact);
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

  /** A second has passed, or a setting changed. */
  tick() {
    if (this.#store.size <= MANY || performance.now() - this.#drawnAt > DRAW_MANY_AFTER_MS) this.#draw();
    else this.#schedule();
  }

  /** Does what a key asks for; returns whether it asked for anything. */
  onKey(key) {
    if (key === "/") this.tools.focusSearch();
    return key === "/" || onListKey(key, {
      move: (step) => this.#move(step),
      current: () => this.#store.get(this.#list.focused ?? ""),
      selected: () => this.#selected(),
      toggle: (task) => this.#toggle(task),
      act: (action, tasks) => this.#act(action, tasks),
      nextGroup: () => this.#change({ group: GROUPS[(GROUPS.indexOf(this.#query.group) + 1) % GROUPS.length], folded: new Set() }),
      clear: () => this.#select([]),
    });
  }

  /** All tasks that the page knows, for the palette. */
  tasks() {
    return [...this.#store.values()];
  }

  // ── What changes ────────────────────────────────────────────────────────────────────────────────────────────────────

  #change(changes, { replace = false } = {}) {
    this.#navigate(listAddress({ ...this.#query, ...changes }), { replace });
  }

  #takeIn(task) {
    notify(this.#store.get(task.id), task);
    this.#store.put(task);
    this.#schedule();
  }

  #takeInSign(data) {
    const known = this.#store.get(data.task_id);
    if (known === null) return;
    this.#store.put(withSign(known, data));
    this.#schedule();
  }

  #takeInCounts(data) {
    this.#fleet = data;
    if (this.#loader.hasMore) this.#schedule();
  }

  #watch(items) {
    this.#onWatch(items.filter(({ kind }) => kind === "task").map(({ key }) => key));
  }

  #selected() {
    return [...this.#selection].map((id) => this.#store.get(id)).filter((task) => task !== null);
  }

  #select(ids) {
    this.#selection = new Set(ids);
    this.#draw();
  }

  #toggle(task, isSelected = !this.#selection.has(task.id)) {
    if (isSelected) this.#selection.add(task.id);
    else this.#selection.delete(task.id);
    this.#lastSelected = task.id;
    this.#draw();
  }

  /** Selects from the last one on, where the shift key is held. */
  #onSelect(task, isSelected, event) {
    const ids = this.#items.filter(({ kind }) => kind === "task").map(({ key }) => key);
    const [from, to] = [ids.indexOf(this.#lastSelected), ids.indexOf(task.id)].sort((a, b) => a - b);
    if (event.shiftKey && from >= 0) for (const id of ids.slice(from, to + 1)) this.#selection.add(id);
    this.#toggle(task, isSelected);
  }

  #move(step) {
    const ids = this.#items.filter(({ kind }) => kind === "task").map(({ key }) => key);
    const place = ids.indexOf(this.#list.focused ?? "");
    const next = ids[place < 0 ? 0 : Math.max(0, Math.min(ids.length - 1, place + step))];
    if (next !== undefined) this.#list.focus(next);
  }

  #act(action, tasks) {
    openActionDialog(action, tasks, {
      onDone: () => {
        this.#select([]);
        // After a stop was asked for, the task's page shows its receipts as they come.
        if (action === "stop" && tasks.length === 1) this.#navigate(at(`/tasks/${encodeURIComponent(tasks[0].id)}`));
      },
    });
  }

  #fold(name) {
    const folded = new Set(this.#query.folded);
    if (!folded.delete(name)) folded.add(name);
    this.#change({ folded }, { replace: true });
  }

  // ── What is shown ───────────────────────────────────────────────────────────────────────────────────────────────────

  #schedule() {
    this.#drawTimer ??= setTimeout(() => this.#draw(), this.#store.size > MANY ? DRAW_MANY_AFTER_MS : DRAW_AFTER_MS);
  }

  #draw() {
    clearTimeout(this.#drawTimer);
    this.#drawTimer = null;
    if (!this.#isOpen) return;
    this.#drawnAt = performance.now();
    const now = clock.now();
    const inRange = this.#store.inRange({ range: this.#query.range, search: this.#search, found: this.#loader.found, now });
    const known = countStates(inRange, now);
    const isCut = this.#loader.hasMore && (this.#query.range !== "all" || this.#search.text !== "" || this.#fleet === null);
    const counts = this.#loader.hasMore && this.#search.text === "" ? withFleet(known, this.#fleet, this.#query.range) : known;
    const chosen = filtered(inRange, this.#query.filter, now);
    this.#countsBar.show(counts, inRange, { isCut, now });
    this.#groups = arrange(chosen, { ...this.#query, now });
    this.#items = this.#itemsOf(this.#groups, now);
    this.#showColumns(chosen);
    this.#list.show(this.#items);
    this.#selectionBar.update(this.#selected());
    this.#showState(chosen.length);
    this.#loadMoreNearEnd();
    showAttention({ attention: counts.attention, isOnline: this.#isOnline, title: t("title.list", { active: count(counts.active) }) });
  }

  /** The rows to show: the tasks, with a heading before each group when there is more than one. */
  #itemsOf(groups, now) {
    const heights = NARROW.matches ? HEIGHTS.narrow : HEIGHTS[setting("density")];
    const { folded, group } = this.#query;
    const hasHeadings = groups.length > 1 || (groups.length === 1 && PLACES.includes(group));
    const size = groups.reduce((sum, { rows }) => sum + rows.length, 0);
    const items = [];
    let index = 0;
    for (const { name, rows } of groups) {
      const isFolded = hasHeadings && folded.has(name);
      if (hasHeadings) items.push(this.#heading({ name, rows, isFolded, height: heights.group, now }));
      for (const { task, depth } of rows) {
        index += 1;
        if (isFolded) continue;
        items.push({ key: task.id, height: heights.row, kind: "task", task, depth, index, size, isSelected: this.#selection.has(task.id) });
      }
    }
    return items;
  }

  #heading({ name, rows, isFolded, height, now }) {
    const { group } = this.#query;
    const tasks = rows.map(({ task }) => task);
    const isCut = this.#loader.hasMore && name === "ended";
    const possible = Object.fromEntries(Object.entries(CAN).map(([action, can]) => [action, tasks.filter(can).length]));
    const fixed = { attention: `list.group.${name}`, state: `status.${name}` }[group];
    const label = fixed ? t(fixed) : name || t(`list.group.without.${group}`);
    const n = count(tasks.length) + (isCut ? "+" : "");
    return { key: `group ${name}`, height, kind: "group", name, label, n, isFolded, possible, hasChips: !fixed, counts: countStates(tasks, now) };
  }

  /** Shows the columns that any of these tasks has something for, but not the one by which they are grouped. */
  #showColumns(tasks) {
    for (const name of PLACES) {
      const isShown = name !== this.#query.group && tasks.some((task) => name in task.pairs);
      setAttribute(this.#rows, `data-${name}`, isShown);
    }
  }

  #makeRow(item) {
    if (item.kind === "group") {
      return new GroupRow({
        onFold: (name) => this.#fold(name),
        onAll: (action, name) => this.#act(action, this.#groups.find((group) => group.name === name).rows.map(({ task }) => task).filter(CAN[action])),
      });
    }
    return new TaskRow({
      onAction: (action, task) => this.#act(action, [task]),
      onSelect: (task, isSelected, event) => this.#onSelect(task, isSelected, event),
    });
  }

  #loadMoreNearEnd() {
    if (this.#isOpen && this.#loader.hasMore && this.#list.isNearEnd) void this.#loader.more();
  }

  #showState(shown) {
    const { state, error, isLoadingMore } = this.#loader;
    let name = null;
    if (state === "failed" && this.#isOnline) name = "failed";
    else if (shown > 0) name = isLoadingMore ? "more" : null;
    else if (state === "loading") name = "loading";
    else if (state === "ready") name = this.#store.size === 0 && this.#search.text === "" ? "empty" : "none";
    const key = [name, listAddress(this.#query), error?.message].join(" ");
    if (key === this.#shownState) return;
    this.#shownState = key;
    this.#state.replaceChildren(...stateNodes(name, { query: this.#query, error }));
  }
}
