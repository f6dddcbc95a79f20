"use strict";
// The server's explanation of the path: its parts in the order in which one asks, then whatever else it has.

const PARTS = ["error", "hint", "format", "stages", "options", "sizes", "presets", "signature", "cache", "settings", "source", "kind"];
const MOST_LEVELS = 8;
let explained = ""; // the question whose answer is shown

async function explain(url, accept, signal) {
  const box = at("explanation");
  const size = original && original.width ? [original.width, original.height] : null;
  const question = { path: "/" + url, accept, size };
  if (!box.open || explained === JSON.stringify(question)) return;
  try {
    const answer = await ask("playground/explain", question, signal);
    at("explained").replaceChildren(...sections(answer));
    explained = JSON.stringify(question);
  } catch (error) {
    if (error.name === "AbortError") return;
    explained = "";
    at("explained").replaceChildren(make("p", { class: "none" }, `There is no explanation: ${error.message}`));
  }
}

function sections(answer) {
  const names = [...PARTS.filter((name) => name in answer), ...Object.keys(answer).filter((name) => !PARTS.includes(name))];
  return names.filter((name) => !isEmpty(answer[name])).flatMap((name) => [
    make("h3", {}, words(name)),
    make("div", { class: name === "error" ? "part problem" : "part" }, name === "stages" ? stages(answer[name]) : tree(answer[name])),
  ]);
}

function words(name) {
  return name.replace(/_/g, " ");
}

function isEmpty(value) {
  return value === null || value === undefined || value === "" || (typeof value === "object" && !Object.keys(value).length);
}

/** The stages that do something, and how many do nothing. */
function stages(all) {
  const acting = all.filter((stage) => stage.acts).map(({ acts, ...stage }) => stage);
  const idle = all.length - acting.length;
  return make("div", {}, acting.length ? table(acting) : "", make("p", { class: "small" }, `${idle} more of the pipeline's stages have nothing to do.`));
}

function tree(value, level = 0) {
  if (isEmpty(value)) return make("span", { class: "nothing" }, "–");
  if (isSize(value)) return `${value[0]} × ${value[1]}`;
  if (typeof value === "string") return make("span", {}, value);
  if (typeof value !== "object" || level > MOST_LEVELS) return make("code", {}, JSON.stringify(value));
  if (Array.isArray(value)) return list(value, level);
  return make("dl", { class: "tree" }, ...Object.entries(value).map(([name, one]) =>
    make("div", {}, make("dt", {}, words(name)), make("dd", {}, tree(one, level + 1)))));
}

/** Whether it is the width and height of an image. */
function isSize(value) {
  return Array.isArray(value) && value.length === 2 && value.every(Number.isInteger);
}

function isRecord(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function list(values, level) {
  if (values.every(isRecord)) return table(values);
  if (values.some((one) => one !== null && typeof one === "object")) {
    return make("ol", {}, ...values.map((one) => make("li", {}, tree(one, level + 1))));
  }
  return make("span", {}, values.map(String).join(", "));
}

/** Records as rows; without columns that are empty, and without the pipeline where there is one only. */
function table(rows) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) =>
    rows.some((row) => !isEmpty(row[name])) && (name !== "pipeline" || rows.some((row) => row.pipeline !== 1)));
  return make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, words(name))))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...names.map((name) => make("td", {}, cell(row[name]))))))));
}

function cell(value) {
  if (!isRecord(value)) return tree(value, 1);
  return Object.entries(value).map(([name, one]) => `${words(name)} ${isRecord(one) ? JSON.stringify(one) : one}`).join(", ");
}
