"use strict";
// Paths and what they say: {source, values: option name -> texts of its arguments, rest: options that have no control}.

const byName = new Map();
for (const control of settings.options) {
  for (const name of [control.name, ...control.aliases]) byName.set(name, control);
}

function toBase64(text) {
  const binary = Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function fromBase64(text) {
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(binary, (one) => one.charCodeAt(0)));
}

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

/** Percent-encoded where a path needs it; characters that options are full of stay readable. */
function encoded(text) {
  return encodeURIComponent(text).replace(/%(3A|2C|3B|40|24|26|2B|3D)/g, (escape) => decodeURIComponent(escape));
}

function argumentText(argument, value) {
  const text = value.trim();
  if (argument.kind === "base64") return text && toBase64(value);
  return encoded(argument.kind === "color" ? text.replace(/^#/, "") : text);
}

/** The option as a path has it, `rs:fill:640`; empty where no argument has a value. */
function optionText(control, values) {
  const texts = control.repeated
    ? (values[0] || "").trim().split(settings.separator).map(encoded)
    : values.map((value, place) => argumentText(control.arguments[place], value || ""));
  while (texts.length && !texts[texts.length - 1]) texts.pop();
  if (!texts.length) return "";
  if (settings.onlyPresets && control.name === "preset") return texts.join(settings.separator);
  return [control.short, ...texts].join(settings.separator);
}

/** The path after the signature. */
function pathOf({ source, values, rest }) {
  const options = settings.options
    .filter((control) => values.has(control.name))
    .map((control) => optionText(control, values.get(control.name)));
  return "/" + [...options, ...rest].filter(Boolean).map((text) => text + "/").join("") + sourceText(source);
}

function sourceText(source) {
  let text = encodeURIComponent(source).replace(/%2F/g, "/").replace(/%3A/g, ":");
  // One slash after a scheme is meant as it is: an escaped colon keeps it.
  if (/^[A-Za-z][A-Za-z0-9+.-]*:\/(?!\/)/.test(text)) text = text.replace(/:/g, "%3A");
  return "plain/" + text;
}

/** What a path or URL says, with a signature or without; an Error where it has no readable source. */
function parsePath(text) {
  let path = text.trim();
  const url = /^https?:\/\/[^/]+(\/.*)$/.exec(path);
  if (url) path = url[1];
  const parts = path.replace(/[?#].*$/, "").split("/").filter((part, place) => part || place);
  const isOption = (part) => part === "-" || decoded(part).includes(settings.separator);
  const startsSource = (part) => part === "plain" || part === "enc";
  if (parts.length > 1 && !isOption(parts[0]) && !startsSource(parts[0]) && !(settings.onlyPresets && isPreset(parts[0]))) {
    parts.shift(); // the signature
  }
  const state = { source: "", values: new Map(), rest: [] };
  while (parts.length && !startsSource(parts[0])) {
    if (!isOption(parts[0]) && !(settings.onlyPresets && isPreset(parts[0]))) break;
    const part = parts.shift();
    if (state.rest.length || !takeOption(state.values, decoded(part))) state.rest.push(part);
  }
  let format = takeSource(state, parts);
  const named = byName.get("format");
  if (format && named) state.values.set("format", [format]);
  else if (format) state.rest.push(`format${settings.separator}${format}`);
  return state;
}

function isPreset(part) {
  const control = byName.get("preset");
  return Boolean(control) && decoded(part).split(settings.separator).every((name) => control.arguments[0].choices.includes(name));
}

/** Put an option into *values*; whether it has a control that can show it. */
function takeOption(values, text) {
  let [name, ...texts] = text.split(settings.separator);
  if (settings.onlyPresets && !byName.has(name)) [name, texts] = ["preset", [name, ...texts]];
  const control = byName.get(name);
  if (!control || !control.arguments.length) return false;
  if (control.repeated) {
    values.set(control.name, [texts.join(settings.separator)]);
    return true;
  }
  if (texts.length > control.arguments.length) return false;
  if (texts.some((one, place) => !fits(control.arguments[place], one))) return false;
  try {
    const shown = texts.map((one, place) => (control.arguments[place].kind === "base64" ? fromBase64(one) : one));
    values.set(control.name, shown);
    return true;
  } catch {
    return false; // no base64
  }
}

/** Whether the control of *argument* can show *text*: that of numbers shows nothing else. */
function fits(argument, text) {
  const onlyNumbers = ["integer", "number"].includes(argument.kind) && !argument.choices.length;
  return !onlyNumbers || !text || /^[+-]?(\d+\.?\d*|\.\d+)$/.test(text);
}

/** Set the source of *state* from the parts after the options; the format that comes after it. */
function takeSource(state, parts) {
  if (parts[0] === "plain" && parts.length > 1) {
    const [source, format = ""] = parts.slice(1).join("/").split("@");
    state.source = decoded(source);
    return format;
  }
  if (parts[0] === "enc") throw new Error("an encrypted source cannot be shown here");
  const [source, format = ""] = parts.join("").split(".");
  try {
    state.source = fromBase64(source);
  } catch {
    state.source = "";
  }
  if (!state.source) throw new Error("the path has no source: it ends with plain/ and a URL");
  return format;
}
