// The page without it says all that it says with it: this copies commands, filters, and moves along a row by arrow keys.
"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const said = document.querySelector("#said");

for (const button of all("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    said.textContent = `Copied: ${code.textContent}`;
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 2000);
  });
}

const form = document.querySelector("form");
const rows = all(".picture tbody tr");
const lists = all(".trouble li[data-r], .details tbody tr");
const outcomes = (element) => element.dataset.o?.split(" ") ?? [...element.classList];
function filter() {
  const [job, pool, outcome] = ["job", "pool", "outcome"].map((name) => form.elements[name]?.value.trim() ?? "");
  const wanted = outcome ? outcome.split(" ") : null;
  const shown = new Set();
  const fits = (element) => !wanted || outcomes(element).some((each) => wanted.includes(each));
  for (const row of rows) {
    const named = row.dataset.job.includes(job) && (!pool || row.dataset.pool === pool);
    let any = !wanted;
    for (const mark of all("li", row)) {
      const fit = fits(mark.firstElementChild);
      mark.hidden = !fit;
      any ||= fit;
    }
    row.hidden = !(named && (any || fits(row)));
    if (named) shown.add(row.id.slice(1));
  }
  for (const line of lists) line.hidden = !(shown.has(line.dataset.r) && fits(line));
  for (const closed of all("details")) {
    const found = all(".trouble li, .details tbody tr", closed).some((line) => !line.hidden);
    closed.open = found && Boolean(wanted || ((job || pool) && closed.querySelector(".trouble")));
  }
  said.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} jobs are shown`;
}
form.hidden = false;
form.addEventListener("input", filter);
form.addEventListener("reset", () => setTimeout(filter));
form.addEventListener("submit", (event) => event.preventDefault());

document.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const list = event.target.closest?.(".picture ol");
  if (!step || !list) return;
  const marks = all("li:not([hidden]) a", list).sort((a, b) => a.offsetLeft - b.offsetLeft);
  marks[marks.indexOf(event.target) + step]?.focus();
  event.preventDefault();
});

function opened() {
  const target = document.getElementById(location.hash.slice(1));
  const closed = target?.closest("details:not([open])");
  if (closed) {
    closed.open = true;
    target.scrollIntoView({ block: "center" });
  }
}
addEventListener("hashchange", opened);
opened();

// Where the picture is wider than the screen, now is at its right end.
const picture = document.querySelector(".wide");
picture.scrollLeft = picture.scrollWidth;
