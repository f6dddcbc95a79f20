"use strict";
// The two pictures, and what is known of them: bytes, pixels, times, the cache.

const ORIGINAL_ACCEPT = "image/avif,image/webp,image/*;q=0.8";
const STAGES = ["cache", "fetch", "wait", "process", "rest"];
let shown = { source: null, abort: null, ready: null }; // whose original is shown
let original = null; // what /info says of it, where the operator allows that

function showPicture(which, blob) {
  const image = at(`${which}-image`);
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  image.hidden = false;
  say(at(`${which}-none`), "");
  return image.decode().then(() => ({ width: image.naturalWidth, height: image.naturalHeight })).catch(() => null);
}

function showNone(which, text) {
  const image = at(`${which}-image`);
  URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
  image.hidden = true;
  say(at(`${which}-none`), text);
  at(`${which}-facts`).textContent = "";
}

/** Show the original of *source*, smaller, and ask what it is. Neither is needed for the result. */
function showOriginal(source) {
  if (source === shown.source) return shown.ready;
  if (shown.abort) shown.abort.abort();
  const abort = new AbortController();
  shown = { source, abort, ready: loadOriginal(source, abort.signal) };
  shown.ready.catch(() => { if (shown.abort === abort) shown.source = null; }); // the next change tries again
  return shown.ready;
}

/** Stop to fetch the original; the next result has it fetched anew. */
function hideOriginal() {
  if (shown.abort) shown.abort.abort();
  shown = { source: null, abort: null, ready: null };
  original = null;
}

async function loadOriginal(source, signal) {
  original = null;
  const [url, about] = await urlsOf(["/" + settings.original + sourceText(source), "/" + sourceText(source)], signal);
  const info = load(`info/${about}`, "application/json", signal).then(({ blob }) => blob.text()).then(JSON.parse).catch(() => null);
  let size = null;
  try {
    const { blob } = await load(url, ORIGINAL_ACCEPT, signal);
    size = { ...(await showPicture("before", blob)), size: blob.size };
    at("before-image").alt = `The original, ${source}`;
  } catch (error) {
    if (signal.aborted) throw error;
    showNone("before", "The original cannot be shown.");
  }
  const known = await info;
  signal.throwIfAborted();
  original = known || (settings.original ? null : size); // a picture that was made smaller tells nothing of it
  const { format = "", width, height, size: weight } = original || {};
  at("before-facts").textContent = width ? [format.toUpperCase(), `${width} × ${height}`, weight ? bytes(weight) : ""].filter(Boolean).join(" · ") : "";
}

/** Fetch and show the result of *url*; a Refusal where there is none. */
async function showResult(url, accept, signal) {
  const { blob, fallback, headers, spent } = await load(url, accept, signal, "no-store"); // the times are the server's
  const pixels = await showPicture("after", blob);
  const format = (blob.type || "unknown").replace(/^image\//, "").replace("+xml", "").toUpperCase();
  if (!pixels) showNone("after", `This browser does not show ${format}.`);
  at("after-image").alt = "The result";
  const size = pixels ? `${pixels.width} × ${pixels.height}` : "";
  at("after-facts").textContent = [fallback && "the fallback image", format, size, bytes(blob.size)].filter(Boolean).join(" · ");
  return { size: blob.size, pixels, timing: headers.get("Server-Timing") || "", cache: headers.get("Cache-Status") || "", spent };
}

function showFigures({ size, pixels, timing, cache, spent }) {
  const before = original && original.size;
  at("bytes").replaceChildren(make("b", {}, bytes(size)), ...(before ? [" of " + bytes(before), ...compared(size, before)] : []));
  at("pixels").replaceChildren(
    make("b", {}, pixels ? `${pixels.width} × ${pixels.height}` : "–"),
    ...(original && original.width ? [` of ${original.width} × ${original.height}`] : []));
  at("time").replaceChildren(make("b", {}, `${Math.round(spent)} ms`), ...timeline(timing, spent));
  const hit = /(?:^|;)\s*hit/i.test(cache);
  at("cache").replaceChildren(make("b", {}, cache ? (hit ? "hit" : "miss") : "–"), " ", make("span", { class: "small" }, cache));
}

function compared(size, before) {
  const change = Math.round((size / before - 1) * 100);
  const meter = make("span", { class: "meter", "aria-hidden": "true" }, make("i"));
  meter.firstChild.style.width = `${Math.min(100, (size / before) * 100)}%`;
  return [" ", make("span", { class: change > 0 ? "badge worse" : "badge better" }, `${change > 0 ? "+" : "−"}${Math.abs(change)} %`), meter];
}

/** The stages of Server-Timing, and the rest of the time that the browser saw. */
function timeline(timing, spent) {
  const stages = Array.from(timing.matchAll(/([\w-]+);dur=([\d.]+)/g), ([, name, duration]) => [name, Number(duration)]);
  if (!stages.length) return [];
  const sum = stages.reduce((total, [, duration]) => total + duration, 0);
  stages.push(["rest", Math.max(0, spent - sum)]);
  const total = Math.max(spent, sum) || 1;
  const line = make("span", { class: "meter", "aria-hidden": "true" });
  const words = stages.map(([name, duration]) => {
    const kind = STAGES.includes(name) ? name : "other";
    const part = make("i", { class: kind });
    part.style.width = `${(duration / total) * 100}%`;
    line.append(part);
    return make("span", { class: "stage" }, make("i", { class: kind, "aria-hidden": "true" }), `${name} ${duration < 10 ? duration.toFixed(1) : Math.round(duration)}`);
  });
  return [line, make("span", { class: "small" }, ...words)];
}

function emptyFigures() {
  for (const id of ["bytes", "pixels", "time", "cache"]) at(id).textContent = "–";
}

/** Where in the picture, as fractions of its sides, an event happened; null beside it. */
function placeIn(image, event) {
  const box = image.getBoundingClientRect();
  const scale = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
  const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
  const x = (event.clientX - box.left - (box.width - width) / 2) / width;
  const y = (event.clientY - box.top - (box.height - height) / 2) / height;
  return x >= 0 && x <= 1 && y >= 0 && y <= 1 ? [x.toFixed(2), y.toFixed(2)] : null;
}
