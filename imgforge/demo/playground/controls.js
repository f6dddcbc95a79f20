"use strict";
// The controls of the options, in groups, made from the table of options.

const PLACES = {
  no: "top", so: "bottom", ea: "right", we: "left", noea: "top right", nowe: "top left", soea: "bottom right",
  sowe: "bottom left", ce: "centre", sm: "smart", fp: "focus point", re: "tiled", ch: "tiled like a chessboard",
};
const controls = new Map(); // by the option's name: {control, row, group, inputs, problem, remove, words}
let filtering = false; // whether a search decides which groups are open

/** Whether the options are below the pictures, where they are a long way. */
function narrow() {
  return matchMedia("(max-width: 60rem)").matches;
}

function buildControls(changed) {
  const groups = new Map();
  for (const control of settings.options) {
    if (!groups.has(control.group)) groups.set(control.group, makeGroup(control.group, groups.size < 2 && !narrow()));
    const built = makeOption(control, groups.get(control.group));
    groups.get(control.group).body.append(built.row);
    controls.set(control.name, built);
  }
  at("groups").append(...Array.from(groups.values(), (group) => group.details));
  at("groups").addEventListener("input", (event) => {
    pairUp(event.target);
    changed();
  });
}

function makeGroup(name, open) {
  const count = make("span", { class: "badge", hidden: true });
  const body = make("div", { class: "options" });
  const details = make("details", { class: "group", open }, make("summary", {}, name, " ", count), body);
  const group = { details, body, count, open, used: 0 };
  details.addEventListener("toggle", () => { if (!filtering) group.open = details.open; });
  return group;
}

function makeOption(control, group) {
  const id = `option-${control.name}`;
  const problem = make("p", { class: "problem", id: `${id}-problem`, hidden: true });
  const parts = control.repeated
    ? [{ name: control.usage, kind: "text", choices: [], slider: null }]
    : control.arguments;
  const alone = parts.length === 1;
  const fields = parts.map((argument, place) => makeField(control, argument, `${id}-${place}`, alone));
  const inputs = fields.map((field) => field.input);
  const remove = make("button", { type: "button", class: "remove", "aria-label": `Remove ${control.name}`, hidden: true }, "×");
  const row = make("div", { class: "option", role: alone ? false : "group", "aria-labelledby": alone ? false : `${id}-name`, "data-refused": Boolean(control.refused) },
    make("div", { class: "head" },
      make("span", { class: "name", id: `${id}-name` }, control.name.replace(/[_-]/g, " ")),
      ...(control.short === control.name ? [] : [make("code", {}, control.short)]), remove),
    make("p", { class: "summary" }, control.refused ? `${control.summary} — ${control.refused}` : control.summary),
    make("div", { class: alone ? "arguments one" : "arguments" }, ...fields.map((field) => field.element)), problem);
  remove.addEventListener("click", () => {
    writeOption(control.name, []);
    inputs[0].focus();
    inputs[0].dispatchEvent(new Event("input", { bubbles: true }));
  });
  const words = [control.name, ...control.aliases, control.summary, control.group,
    ...control.arguments.flatMap((argument) => [argument.name, ...argument.choices])];
  return { control, row, group, inputs, problem, remove, words: words.join(" ").replace(/_/g, " ").toLowerCase() };
}

/** A label with what an argument is typed, chosen or dragged by. */
function makeField(control, argument, id, alone) {
  const input = makeInput(argument);
  input.id = id;
  input.disabled = Boolean(control.refused);
  input.setAttribute("aria-describedby", `option-${control.name}-problem`);
  const shown = argument.name.replace(/_/g, " ");
  const name = control.name.replace(/[_-]/g, " ");
  input.setAttribute("aria-label", alone || shown === name ? name : `${name}: ${shown}`);
  const beside = [];
  if (argument.kind === "color") beside.push(make("input", { type: "color", value: "#d95f2b", tabindex: -1, "aria-label": `${name}: pick`, "data-for": id, disabled: input.disabled }));
  if (argument.slider) {
    const [min, max, step] = argument.slider;
    beside.push(make("input", { type: "range", min, max, step, value: min, tabindex: -1, "aria-hidden": "true", "data-for": id, class: "idle", disabled: input.disabled }));
  }
  const words = alone && !control.repeated ? [] : [make("span", {}, shown)];
  return { input, element: make("label", { class: `argument ${argument.kind}${argument.slider ? " slid" : ""}` }, ...words, input, ...beside) };
}

function makeInput(argument) {
  const numeric = argument.kind === "integer" || argument.kind === "number";
  if (argument.kind === "boolean") return makeSelect([["", "–"], ["1", "yes"], ["0", "no"]]);
  if (argument.kind === "choice") return makeSelect([["", "–"], ...argument.choices.map((one) => [one, PLACES[one] ? `${one} · ${PLACES[one]}` : one])]);
  if (numeric && !argument.choices.length) {
    const step = argument.kind === "integer" ? 1 : "any";
    return make("input", { type: "number", min: argument.low, max: argument.high, step, placeholder: rangeOf(argument) });
  }
  const placeholder = argument.kind === "color" ? "ffd9b0" : argument.choices.join(", ");
  return make("input", { type: "text", spellcheck: "false", autocapitalize: "off", placeholder });
}

function makeSelect(pairs) {
  return make("select", {}, ...pairs.map(([value, text]) => make("option", { value }, text)));
}

function rangeOf({ low, high }) {
  if (low === null && high === null) return "";
  if (high === null || high - low > 1e5) return low === 0 || low === 1 ? `from ${low}` : "";
  return `${low} to ${high}`;
}

/** Keep a number and its slider, a colour and its picker, alike; *changed* is the one that was moved. */
function pairUp(changed) {
  if (changed.dataset.for) {
    at(changed.dataset.for).value = changed.type === "color" ? changed.value.slice(1) : changed.value;
    changed.classList.remove("idle");
    return;
  }
  for (const beside of document.querySelectorAll(`[data-for="${CSS.escape(changed.id)}"]`)) {
    const value = changed.value.trim();
    beside.classList.toggle("idle", !value);
    if (beside.type === "range") beside.value = value || beside.min;
    else if (/^[0-9a-f]{6}$/i.test(value)) beside.value = `#${value}`;
  }
}

/** The values of all options that have any. */
function readControls() {
  const values = new Map();
  for (const [name, { inputs, row, remove }] of controls) {
    const texts = inputs.map((input) => input.value);
    const inUse = texts.some((text) => text.trim());
    row.classList.toggle("used", inUse);
    remove.hidden = !inUse;
    if (inUse) values.set(name, texts);
  }
  for (const { group } of controls.values()) group.used = 0;
  for (const name of values.keys()) controls.get(name).group.used += 1;
  for (const { group } of controls.values()) say(group.count, group.used ? String(group.used) : "");
  at("count").textContent = values.size;
  return values;
}

function writeOption(name, texts) {
  controls.get(name).inputs.forEach((input, place) => {
    const value = texts[place] === undefined ? "" : texts[place];
    input.value = value;
    if (value && input.value !== value && input.tagName === "SELECT") {
      input.append(make("option", { value }, value)); // a value that the table does not have: the server refuses it
      input.value = value;
    }
    pairUp(input);
  });
}

function writeControls(values) {
  for (const name of controls.keys()) writeOption(name, values.get(name) || []);
  readControls();
  for (const { group } of controls.values()) {
    if (group.used) group.details.open = group.open = true;
  }
}

/** Show the options that have all words of *text*, or only those in use; their groups are opened. */
function filterControls(text, onlyUsed) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  const shown = new Set();
  filtering = words.length > 0 || onlyUsed;
  for (const { row, words: has, group } of controls.values()) {
    const matches = words.every((word) => has.includes(word)) && (!onlyUsed || row.classList.contains("used"));
    row.hidden = !matches;
    if (matches) { count += 1; shown.add(group); }
  }
  for (const { group } of controls.values()) {
    group.details.hidden = !shown.has(group);
    group.details.open = filtering ? shown.has(group) : group.open;
  }
  at("found").textContent = filtering ? `${count} options shown` : "";
}

function clearProblems() {
  for (const { problem, inputs, row } of controls.values()) {
    say(problem, "");
    row.classList.remove("bad");
    for (const input of inputs) input.removeAttribute("aria-invalid");
  }
  for (const id of ["source", "rest", "path"]) {
    say(at(`${id}-problem`), "");
    at(id).removeAttribute("aria-invalid");
  }
}

/** Say so where the browser makes nothing of what was typed as a number. */
function showUnreadable() {
  for (const { inputs, problem, row } of controls.values()) {
    const input = inputs.find((one) => one.validity.badInput);
    if (!input) continue;
    say(problem, "this is not a number");
    row.classList.add("bad");
    input.setAttribute("aria-invalid", "true");
  }
}

function showProblem(id, message) {
  say(at(`${id}-problem`), message);
  at(id).setAttribute("aria-invalid", "true");
}

/** Show the server's message at the option, and the argument, that it names; the input at fault, or nothing. */
function blame(message, values) {
  const found = /option (['"])(.*?)\1(?::\s*(.*))?/s.exec(message);
  if (!found) return null;
  const text = decoded(found[2]);
  const named = byName.get(text.split(settings.separator)[0]);
  if (!named || !values.has(named.name)) {
    if (at("rest").value) showProblem("rest", message);
    return null;
  }
  const built = controls.get(named.name);
  const reason = found[3] || message;
  say(built.problem, reason);
  built.row.classList.add("bad");
  const place = named.arguments.findIndex((one) => reason.startsWith(one.name.replace(/_/g, " ")));
  const input = built.inputs[place < 0 ? 0 : place] || built.inputs[0];
  const quoted = /not '(.*)'/.exec(reason);
  const wrong = (quoted && quoted[1] && built.inputs.find((one) => one.value === quoted[1])) || input;
  wrong.setAttribute("aria-invalid", "true");
  built.group.details.open = built.group.open = true;
  return wrong;
}
