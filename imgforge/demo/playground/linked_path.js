"use strict";
// A path in the address of the page may be anybody's: any page of the web can lead this tab here, where it has the token.
// It is neither signed nor fetched until the user says so, by the button beside it or by a picture in place of its source.

const ASKED = "imgforge-playground-asked";
const SETTLING = 500; // milliseconds for which a click may have been meant for the page before this one
let unasked = false; // whether the user has not asked yet for the path that the controls show

/** Whether *path* needs the user's word: not where everybody may fetch it, nor when a reload shows the same again. */
function isUnasked(path) {
  if (!token || !(settings.signs || settings.needsToken)) return false;
  try { return sessionStorage.getItem(ASKED) !== path; } catch { return true; }
}

/** The user has asked for *path*, which a reload of this tab may show at once. */
function noteAsked(path) {
  try { sessionStorage.setItem(ASKED, path); } catch { /* a reload asks again */ }
}

function showUnasked(source) {
  say(at("unasked-source"), source);
  at("unasked").hidden = false;
  at("ask").disabled = true;
  setTimeout(() => { at("ask").disabled = false; }, SETTLING);
  say(at("failure"), "");
  at("signature").textContent = "neither signed nor fetched";
  at("open").removeAttribute("href");
  showNone("before", "Not fetched");
  showNone("after", "Not fetched");
  emptyFigures();
  at("explained").replaceChildren();
}
