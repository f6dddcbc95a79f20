"use strict";
// The page: whatever changes, the path is made anew, shown, and fetched after a pause.

const PAUSE = 250; // milliseconds without a change until the image is fetched
const THEME = "imgforge-playground-theme";
let pause = 0;
let under = new AbortController(); // what is being fetched
let link = ""; // the relative URL of the result

function state() {
  const rest = at("rest").value.split("/").map((part) => part.trim()).filter(Boolean).map(encoded);
  return { source: at("source").value.trim(), values: readControls(), rest };
}

function changed() {
  const path = pathOf(state());
  at("path").value = path;
  history.replaceState(null, "", "#" + path);
  markPicture(at("source").value.trim());
  showSoon();
}

function showSoon() {
  if (unasked) return say(at("unasked-source"), state().source);
  clearTimeout(pause);
  document.body.dataset.waiting = "";
  pause = setTimeout(show, PAUSE);
}

/** Have the controls show what *path* says. */
function take(path) {
  const { source, values, rest } = parsePath(path);
  at("source").value = source;
  at("rest").value = rest.map(decoded).join("/");
  writeControls(values);
}

/** Have the controls show the path of the page's address, which waits for the user where somebody else may have set it. */
function takeLinked(path) {
  take(path);
  unasked = isUnasked(pathOf(state()));
  if (!unasked) return;
  clearTimeout(pause);
  delete document.body.dataset.waiting;
  under.abort();
  hideOriginal();
  link = "";
  showUnasked(state().source);
}

function askFor() {
  unasked = false;
  at("unasked").hidden = true;
}

async function show() {
  if (unasked) return;
  clearTimeout(pause);
  document.body.setAttribute("aria-busy", "true");
  delete document.body.dataset.waiting;
  under.abort();
  under = new AbortController();
  const { signal } = under;
  const now = state();
  const accept = at("accept").value;
  clearProblems();
  showUnreadable();
  try {
    if (!now.source) throw new Refusal(0, "the source is missing");
    noteAsked(pathOf(now));
    const [url] = await urlsOf([pathOf(now)], signal);
    link = url;
    at("open").href = url;
    at("signature").textContent = settings.signs ? `signed ${url.slice(0, url.indexOf("/"))}` : "unsigned";
    const before = showOriginal(now.source);
    // It is explained with the size of the original, and where there is no result, too.
    before.catch(() => {}).then(() => explain(url, accept, signal));
    const result = await showResult(url, accept, signal);
    say(at("failure"), "");
    await before;
    showFigures(result);
  } catch (error) {
    if (error.name !== "AbortError") fail(error, now);
  } finally {
    if (signal === under.signal) document.body.removeAttribute("aria-busy");
  }
}

/** Show an error where it arises: at its option, at the source, and in place of the result. */
function fail(error, { values }) {
  const text = error instanceof Refusal ? error.message : `The server does not answer: ${error.message}`;
  const status = error.status ? `${error.status} ` : "";
  const details = error.details || new Map();
  say(at("failure"), status + text);
  showNone("after", "No result");
  emptyFigures();
  const wrong = blame(text, values);
  if (wrong) {
    const button = make("button", { type: "button" }, `Go to ${wrong.getAttribute("aria-label")}`);
    button.addEventListener("click", () => wrong.focus());
    at("failure").append(button);
  }
  for (const name of ["why", "cure", "settings"]) {
    if (details.has(name)) at("failure").append(make("p", {}, make("b", {}, `${name} `), details.get(name)));
  }
  if (wrong) return;
  if (error.status === 403 && /token|signature/.test(text)) return;
  const atFault = details.get("at fault");
  const isSource = atFault ? /source/.test(atFault) : /source|origin|scheme|host|no such|image/i.test(text);
  if (isSource) showProblem("source", text);
}

function chosen(source) {
  askFor();
  at("source").value = source;
  changed();
}

function takeTyped() {
  try {
    take(at("path").value);
    say(at("path-problem"), "");
    at("path").removeAttribute("aria-invalid");
    const path = pathOf(state());
    history.replaceState(null, "", "#" + path);
    markPicture(at("source").value.trim());
    showSoon();
  } catch (error) {
    showProblem("path", error.message);
  }
}

async function copy() {
  const url = new URL(link, location.href).href;
  try {
    await navigator.clipboard.writeText(url);
    at("copy").textContent = "Copied";
  } catch {
    at("path").select();
    at("copy").textContent = "Press Ctrl-C";
  }
  setTimeout(() => { at("copy").textContent = "Copy URL"; }, 1500);
}

function setView(view) {
  at("viewer").dataset.view = view;
  document.querySelector(`input[name=view][value="${view}"]`).checked = true;
}

function nextView() {
  const views = ["pair", "slider", "result"];
  setView(views[(views.indexOf(at("viewer").dataset.view) + 1) % views.length]);
}

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  at("theme").setAttribute("aria-pressed", String(isDark()));
}

function toggleTheme() {
  const theme = isDark() ? "light" : "dark";
  setTheme(theme);
  try { localStorage.setItem(THEME, theme); } catch { /* it lasts as long as the page */ }
}

function toggleUsed() {
  at("used").checked = !at("used").checked;
  filter();
}

function filter() {
  filterControls(at("search").value, at("used").checked);
}

function toggleExplanation() {
  at("explanation").open = !at("explanation").open;
}

function focusOn(id) {
  at(id).focus();
  at(id).select();
}

const SHORTCUTS = {
  "/": () => focusOn("search"), s: () => focusOn("source"), p: () => focusOn("path"), u: toggleUsed, c: copy,
  v: nextView, d: toggleTheme, e: toggleExplanation, "?": () => at("shortcuts").showModal(),
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || at("shortcuts").open) return;
  const field = event.target.closest("input:not([type=radio], [type=checkbox], [type=range]), select, textarea");
  if (event.key === "Escape" && field) {
    if (field === at("search")) { field.value = ""; filter(); }
    field.blur();
    return;
  }
  const action = field ? null : SHORTCUTS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

function focusPoint(event) {
  const place = placeIn(at("before-image"), event);
  if (!place || !controls.has("gravity") || byName.get("gravity").refused) return;
  writeOption("gravity", ["fp", ...place]);
  changed();
}

function begin() {
  at("version").textContent = settings.version;
  buildControls(changed);
  let stored = "";
  try { stored = localStorage.getItem(THEME) || ""; } catch { /* the system's theme */ }
  setTheme(stored === "dark" || stored === "light" ? stored : "");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(""));

  const first = settings.pictures.length ? settings.pictures[0].source : "";
  try {
    if (location.hash.startsWith("#/")) takeLinked(location.hash.slice(1));
    else take("/" + settings.start + sourceText(first || "https://"));
  } catch (error) {
    at("source").value = first;
    showProblem("path", error.message);
  }
  at("source").addEventListener("input", changed);
  at("rest").addEventListener("input", changed);
  at("ask").addEventListener("click", () => { askFor(); changed(); });
  at("path").addEventListener("input", takeTyped);
  at("accept").addEventListener("change", show);
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  at("search").addEventListener("input", filter);
  at("used").addEventListener("change", filter);
  at("clear").addEventListener("click", () => { writeControls(new Map()); at("rest").value = ""; changed(); });
  at("copy").addEventListener("click", copy);
  at("theme").addEventListener("click", toggleTheme);
  at("help").addEventListener("click", () => at("shortcuts").showModal());
  at("shortcuts-close").addEventListener("click", () => at("shortcuts").close());
  at("views").addEventListener("change", (event) => setView(event.target.value));
  at("divider").addEventListener("input", () => at("viewer").style.setProperty("--at", `${at("divider").value}%`));
  at("before-image").addEventListener("click", focusPoint);
  at("explanation").addEventListener("toggle", () => { if (link) explain(link, at("accept").value, under.signal); });
  addEventListener("hashchange", () => {
    if (!location.hash.startsWith("#/")) return;
    try { takeLinked(location.hash.slice(1)); changed(); } catch (error) { showProblem("path", error.message); }
  });
  document.addEventListener("keydown", pressed);
  buildPictures(chosen).catch(() => {}); // why there are none, the result says as well
  changed();
  show();
}

begin();
