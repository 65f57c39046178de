"use strict";
// Tables can be sorted and filtered, and commands copied; the page says the same without this.

const UNITS = { k: 1e3, M: 1e6, G: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, B: 1 };

// The number that a cell begins with, or null: "+1.8 [-0.3, +4.3]", "2.7M", "10.3 MiB", "< 0.001".
function numberOf(text) {
  const match = /^[<>]?\s*([+\-\u2212]?\d[\d,]*\.?\d*)\s?(KiB|MiB|GiB|B|k|M|G)?\b/.exec(text.trim());
  return match && Number(match[1].replace(/,/g, "").replace("\u2212", "-")) * (UNITS[match[2]] || 1);
}

// What has no number comes last, whichever the direction.
function compare(a, b, sign) {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== null && y !== null) return sign * (x - y);
  if (x !== null || y !== null) return x !== null ? -1 : 1;
  return sign * a.localeCompare(b);
}

function sort(table, column, header) {
  const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows];
  const text = (row) => row.cells[column].textContent;
  rows.sort((a, b) => compare(text(a), text(b), sign));
  table.tBodies[0].append(...rows);
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort by this column";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(table, column, header));
    header.append(button);
  });
}

// Every word must be in a row; a word that begins with "-" must not be.
function filter(table, words) {
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    const fits = (word) => (word.length > 1 && word[0] === "-" ? !text.includes(word.slice(1)) : text.includes(word));
    row.hidden = !words.every(fits);
  }
}

function makeFilterable(table) {
  if (table.tBodies[0].rows.length < 10) return;
  const label = document.createElement("label");
  label.className = "filter";
  label.append("Filter rows");
  const input = document.createElement("input");
  input.type = "search";
  input.placeholder = "words, -words";
  input.addEventListener("input", () => filter(table, input.value.toLowerCase().split(/\s+/).filter(Boolean)));
  label.append(input);
  table.parentElement.before(label);
}

function makeCopyable(cell) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "copy";
  button.addEventListener("click", () => {
    const range = document.createRange();
    range.selectNodeContents(cell.querySelector("code"));
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    const done = document.execCommand("copy"); // navigator.clipboard does not exist in a local file everywhere
    button.textContent = done ? "copied" : "press Ctrl-C";
  });
  cell.append(button);
}

for (const table of document.querySelectorAll("table.sortable")) {
  makeSortable(table);
  makeFilterable(table);
}
document.querySelectorAll("td.command").forEach(makeCopyable);
