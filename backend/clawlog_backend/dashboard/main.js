/** Starts the dashboard: the session, the route, the connection, the clock. Puts the parts together and has no other duty. */

import { pathOf } from "./api/address.js";
import { UNAUTHORIZED, apiEvents, getSession, logOut } from "./api/api.js";
import { isPlainClick, setText } from "./parts/element.js";
import { openHelpDialog } from "./parts/help-dialog.js";
import { notifies } from "./parts/notifier.js";
import { openPalette } from "./parts/palette.js";
import { onSettingChange } from "./parts/settings.js";
import { language, onLanguageChange, t } from "./texts/i18n.js";
import { ListView } from "./views/list-view.js";
import { loginView } from "./views/login-view.js";
import { Masthead } from "./views/masthead.js";
import { ChangeStream, State } from "./api/stream.js";
import { TaskView } from "./views/task-view.js";
import { clock, parseTime } from "./texts/time.js";

const RELEASE_HIDDEN_AFTER_MS = 60_000;
const REFRESH_HIDDEN_MS = 60_000;

const main = document.getElementById("main");
const announcer = document.getElementById("announcer");

let session = { required: false, authenticated: true };
let masthead = null;
let listView = null;
let view = null;
let stream = null;
let hiddenTimer = null;
let refreshTimer = null;
let connection = State.CONNECTING;

function announce(text) {
  setText(announcer, text);
}

function navigate(address, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  route();
}

/** The view for the address in use; the list is kept, so that one comes back to where one was. */
function viewFor(url) {
  const match = /^\/tasks\/([^/]+)$/.exec(pathOf(url));
  if (match) return new TaskView({ taskId: decoded(match[1]), announce });
  listView ??= new ListView({ navigate });
  return listView;
}

/** A part of an address as it was meant; a malformed one as it is, which no task is called. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function route({ anew = false } = {}) {
  const url = new URL(window.location.href);
  const isListAgain = !anew && view !== null && view === listView && !pathOf(url).startsWith("/tasks/");
  if (isListAgain) {
    view.open(url);
    return;
  }
  leave();
  view = viewFor(url);
  main.replaceChildren(view.element);
  masthead.place(view.tools?.element ?? null);
  view.open(url);
  connect();
}

function leave() {
  stream?.close();
  stream = null;
  view?.close();
  view = null;
}

function connect() {
  const current = view;
  stream = new ChangeStream({
    path: current.streamPath,
    onEvent(name, data) {
      if (name === "hello") clock.set(parseTime(data.server_time));
      current.onEvent(name, data);
    },
    onData: () => clock.noteContact(),
    onState: showConnection,
    onRefused: (error) => current.onRefused(error),
  });
  const opened = stream;
  current.onWatch?.((ids) => opened.watch(ids));
}

/**
 * A tab that has been out of sight for a while gives its connection back: a browser holds only six to one server, and a
 * person may leave many tabs open. Until it is seen again, it refreshes its title and icon now and then. One that is to notify
 * its reader keeps it.
 */
function onVisibility() {
  clearTimeout(hiddenTimer);
  clearInterval(refreshTimer);
  if (document.visibilityState === "visible") {
    if (stream === null && view !== null) connect();
    return;
  }
  if (notifies()) return;
  hiddenTimer = setTimeout(() => {
    stream?.close();
    stream = null;
    clock.noteLoss();
    refreshTimer = setInterval(refreshHidden, REFRESH_HIDDEN_MS);
  }, RELEASE_HIDDEN_AFTER_MS);
}

async function refreshHidden() {
  if (!(await (view?.refreshHidden ?? view?.refresh)?.call(view))) return;
  clock.noteContact();
  clock.noteLoss();
}

function showConnection(state) {
  const wasOff = connection === State.RECONNECTING || connection === State.DISCONNECTED;
  connection = state;
  if (state === State.RECONNECTING || state === State.DISCONNECTED) clock.noteLoss();
  if (state === State.LIVE && wasOff) announce(t("connection.back"));
  if (state === State.DISCONNECTED) announce(t("connection.disconnected"));
  masthead.show(state);
  view?.onConnection(state !== State.RECONNECTING && state !== State.DISCONNECTED);
}

function showFrame() {
  const tools = view?.tools?.element ?? null;
  document.documentElement.lang = language();
  setText(document.getElementById("skip-link"), t("skip"));
  masthead = new Masthead({
    element: document.getElementById("masthead"),
    canLogOut: session.required && session.authenticated,
    onRetry: () => stream?.retryNow(),
    onLogOut: async () => {
      await logOut().catch(() => null);
      showLogin();
    },
  });
  masthead.show(connection);
  masthead.place(tools);
}

function showLogin() {
  leave();
  listView = null;
  session = { ...session, required: true, authenticated: false };
  connection = State.REFUSED;
  showFrame();
  document.title = `${t("login.title")} · ClawLog`;
  main.replaceChildren(
    loginView({
      onLoggedIn() {
        session = { ...session, authenticated: true };
        showFrame();
        route({ anew: true });
      },
    }),
  );
  main.querySelector("input").focus();
}

function onClick(event) {
  const link = event.target.closest("a[href^='/']");
  if (!link || link.hasAttribute("download") || link.target || !isPlainClick(event)) return;
  event.preventDefault();
  const isFilter = link.classList.contains("filter");
  navigate(link.getAttribute("href"));
  if (!isFilter) main.focus({ preventScroll: true });
}

function onKey(event) {
  if (document.querySelector("dialog[open]") || (session.required && !session.authenticated)) return;
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    openPalette({ tasks: view?.tasks?.() ?? listView?.tasks() ?? [], navigate });
    return;
  }
  const isTyping = event.target.closest("textarea, select, input:not([type=checkbox])");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "?") openHelpDialog();
  else if (!view?.onKey?.(event.key)) return;
  event.preventDefault();
}

function onSecond() {
  masthead?.show();
  view?.tick();
}

async function start() {
  showFrame();
  try {
    session = { ...session, ...(await getSession()) };
  } catch {
    // Without an answer the page shows what it has: a list that says that the server cannot be reached.
  }
  if (session.required && !session.authenticated) showLogin();
  else {
    showFrame();
    route({ anew: true });
  }
  history.scrollRestoration = "manual";
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey);
  document.addEventListener("visibilitychange", onVisibility);
  window.addEventListener("popstate", () => {
    if (session.authenticated) route();
  });
  apiEvents.addEventListener(UNAUTHORIZED, () => {
    if (session.authenticated) showLogin();
  });
  onLanguageChange(() => {
    listView = null;
    if (session.authenticated) {
      showFrame();
      route({ anew: true });
    } else showLogin();
  });
  onSettingChange(onSecond);
  setInterval(onSecond, 1000);
}

void start();
