// The page is whole without this: it opens, closes and filters crates, and prints them all.
"use strict";
const crates = [...document.querySelectorAll("details.crate")];
const filter = document.getElementById("filter");
const shown = document.getElementById("shown");
document.querySelector(".controls").hidden = false;

filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let number = 0;
  for (const crate of crates) {
    const text = crate.textContent.toLowerCase();
    crate.hidden = !words.every((word) => text.includes(word));
    number += crate.hidden ? 0 : 1;
  }
  shown.textContent = words.length ? `${number} of ${crates.length}` : "";
});

const set = (open) => () => crates.forEach((crate) => { crate.open = open; });
document.getElementById("open-all").addEventListener("click", set(true));
document.getElementById("close-all").addEventListener("click", set(false));

const reveal = () => {
  const crate = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (crate && crate.matches("details.crate")) {
    crate.hidden = false;
    crate.open = true;
    crate.scrollIntoView();
  }
};
window.addEventListener("hashchange", reveal);
reveal();

let closed = [];
window.addEventListener("beforeprint", () => {
  closed = crates.filter((each) => !each.open);
  closed.forEach((each) => { each.open = true; });
});
window.addEventListener("afterprint", () => closed.forEach((each) => { each.open = false; }));
