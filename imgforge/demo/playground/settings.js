"use strict";
// What the server has put into the page, and how elements are made: text is only ever text.

const settings = JSON.parse(document.getElementById("settings").textContent);

const at = (id) => document.getElementById(id);

/** An element; attributes that are false are left out, children are elements or text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Show *text* in an element that is hidden without. */
function say(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

function bytes(number) {
  if (number < 1000) return `${number} B`;
  return number < 1e6 ? `${(number / 1e3).toFixed(1)} kB` : `${(number / 1e6).toFixed(2)} MB`;
}
