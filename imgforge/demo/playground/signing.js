"use strict";
// The server's own endpoints: signatures for paths where they are needed, and images with the headers of a client.

const TOKEN = "imgforge-playground-token";
const token = takeToken();
const known = new Map(); // signed paths
const MOST_PATHS = 40; // in one question

/** The token of the address that the command printed. It leaves the address at once; a reload finds it in the tab. */
function takeToken() {
  const given = /^#token=([\w-]+)$/.exec(location.hash);
  try {
    if (given) sessionStorage.setItem(TOKEN, given[1]);
    if (given) history.replaceState(null, "", location.pathname);
    return given ? given[1] : sessionStorage.getItem(TOKEN) || "";
  } catch {
    return given ? given[1] : "";
  }
}

/** An answer that is no image: the message, and by name what a server with explaining errors says besides. */
class Refusal extends Error {
  constructor(status, text) {
    const [message, ...details] = text.trim().split(/\n\s*\n/);
    super(message || `status ${status}`);
    this.status = status;
    this.details = new Map(Array.from(details.join("\n").matchAll(/^([a-z ]+?) {2,}(.+)$/gm), ([, name, value]) => [name, value]));
  }
}

function authorization() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** The JSON that the server answers to a question of the page; a Refusal where it has none. */
async function ask(path, question, signal) {
  const answer = await fetch(path, {
    method: "POST", signal, body: JSON.stringify(question),
    headers: { "Content-Type": "application/json", ...authorization() },
  });
  if (!answer.ok) throw new Refusal(answer.status, await answer.text());
  return answer.json();
}

/** The relative URLs of *paths*, signed where the operator's settings ask for that. */
async function urlsOf(paths, signal) {
  if (!settings.signs) return paths.map((path) => `unsafe${path}`);
  if (!token) throw new Refusal(403, "open the address that imgforge playground has printed: it has the token by which this page gets signatures");
  const unknown = [...new Set(paths.filter((path) => !known.has(path)))];
  for (let from = 0; from < unknown.length; from += MOST_PATHS) {
    const some = unknown.slice(from, from + MOST_PATHS);
    const { paths: signed } = await ask("playground/sign", { paths: some }, signal);
    some.forEach((path, place) => known.set(path, signed[place].slice(1)));
  }
  return paths.map((path) => known.get(path));
}

/** What the server has at a URL: the answer, and the milliseconds until the last byte. */
async function load(url, accept, signal, cache = "default") {
  const began = performance.now();
  const answer = await fetch(url, { signal, cache, headers: { Accept: accept, ...(settings.needsToken ? authorization() : {}) } });
  const fallback = answer.headers.has("Fallback-Image"); // an image, whatever its status is
  if (!answer.ok && !fallback) throw new Refusal(answer.status, await answer.text());
  const blob = await answer.blob();
  return { blob, fallback, headers: answer.headers, spent: performance.now() - began };
}
