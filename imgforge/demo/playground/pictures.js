"use strict";
// The pictures to start from: the samples that the server draws, and those of its directory.

async function buildPictures(choose) {
  const own = settings.pictures.some((picture) => picture.own);
  const more = settings.more ? ", the first ones" : "", fault = settings.rootFault;
  const found = own ? `in ${settings.root}${more}, and samples` : `none in ${settings.root}: samples`;
  at("root").textContent = settings.root && (fault ? `${settings.root} cannot be read (${fault}): samples` : found);
  at("pictures").hidden = !settings.pictures.length;
  at("sources").append(...settings.pictures.map(({ source }) => make("option", { value: source })));
  const images = settings.pictures.map(({ name, source }) => {
    const image = make("img", { alt: "", loading: "lazy", width: 120, height: 80 });
    const button = make("button", { type: "button", "data-source": source }, image, make("span", {}, name));
    button.addEventListener("click", () => choose(source));
    at("strip").append(make("li", {}, button));
    return image;
  });
  const urls = await urlsOf(settings.pictures.map(({ source }) => "/" + settings.tile + sourceText(source)));
  for (const [place, image] of images.entries()) {
    if (!settings.needsToken) image.src = urls[place];
    else await load(urls[place], ORIGINAL_ACCEPT).then(({ blob }) => { image.src = URL.createObjectURL(blob); }).catch(() => {});
  }
}

function markPicture(source) {
  for (const button of at("strip").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.source === source));
  }
}
