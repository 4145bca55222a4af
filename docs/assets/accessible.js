/* What the theme leaves unsaid to a screen reader or out of a keyboard's reach. */
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  // A table without a word above its first column: a header cell must not be empty.
  for (const cell of document.querySelectorAll("th")) {
    if (cell.textContent.trim() || cell.children.length) continue;
    const plain = document.createElement("td");
    for (const { name, value } of cell.attributes) plain.setAttribute(name, value);
    cell.replaceWith(plain);
  }
  // What scrolls sideways is reached by keyboard, too.
  const reach = () => {
    for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset div, .md-typeset pre, pre > code")) {
      const hidden = box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX !== "visible";
      if (hidden && !box.hasAttribute("tabindex")) box.setAttribute("tabindex", "0");
    }
  };
  reach();
  addEventListener("load", reach);
  addEventListener("resize", reach);
});
