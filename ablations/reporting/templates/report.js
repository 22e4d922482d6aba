"use strict";
// Sorts and filters what is in the page already. No table needs it to be read.
const number = text => {
  const plain = text.replaceAll("\u2212", "-").replaceAll(",", "");
  const times = [...plain.matchAll(/(\d[\d.]*) (h|min|s)\b/g)];
  if (times.length) return times.reduce((sum, [, count, unit]) => sum + count * {h: 3600, min: 60, s: 1}[unit], 0);
  return parseFloat(plain.match(/[-+]?\d[\d.]*(e[-+]?\d+)?/));
};
for (const box of document.querySelectorAll(".box")) {
  const table = box.querySelector("table"), body = table.tBodies[0], rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  if (rows.length < 3) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button"), numeric = head.classList.contains("n");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = {none: "ascending", ascending: "descending", descending: "none"}[head.ariaSort ?? "none"];
      for (const other of heads) other.removeAttribute("aria-sort");
      if (next !== "none") head.setAttribute("aria-sort", next);
      const text = row => row.cells[column].textContent.trim(), sign = next === "descending" ? -1 : 1;
      const key = row => numeric ? number(text(row)) : text(row);
      body.append(...(next === "none" ? rows : rows.toSorted((one, other) => {
        const [a, b] = [key(one), key(other)];
        if (!numeric) return sign * a.localeCompare(b, "en", {numeric: true});
        return isNaN(a) - isNaN(b) || (isNaN(a) ? 0 : sign * (a - b));
      })));
    });
  });
  if (rows.length < 8) continue;
  const [line, label, input, output] = ["div", "label", "input", "output"].map(tag => document.createElement(tag));
  line.className = "filter";
  input.type = "search";
  label.append("Filter rows ", input);
  line.append(label, output);
  box.before(line);
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !wanted.every(word => row.textContent.toLowerCase().includes(word));
    output.value = `${rows.filter(row => !row.hidden).length} of ${rows.length} rows`;
  });
}
