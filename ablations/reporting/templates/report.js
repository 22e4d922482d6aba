"use strict";
// Sorts, filters, copies and saves what is in the page already, without any network.  No table needs it to be read.
const number = text => {
  const plain = text.replaceAll("\u2212", "-").replaceAll(",", "");
  const times = [...plain.matchAll(/(\d[\d.]*) (h|min|s)\b/g)];
  if (times.length) return times.reduce((sum, [, count, unit]) => sum + count * {h: 3600, min: 60, s: 1}[unit], 0);
  return parseFloat(plain.match(/[-+]?\d[\d.]*(e[-+]?\d+)?/));
};
const tools = (...named) => {
  const line = document.createElement("div");
  line.className = "tools";
  for (const [name, act] of named) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => act(button));
    line.append(button);
  }
  return line;
};
const save = (url, name) => Object.assign(document.createElement("a"), {href: url, download: name}).click();
const source = drawn => {  // the figure as it is seen, its colours those of the page
  const copy = drawn.cloneNode(true), here = [drawn, ...drawn.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((one, place) => {
    const style = one.getAttribute("style");
    const seen = getComputedStyle(here[place]);
    if (style) one.setAttribute("style", style.replace(/var\((--\w+)\)/g, (_, name) => seen.getPropertyValue(name)));
  });
  return `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
};
for (const figure of document.querySelectorAll("figure")) {
  const shown = () => [...figure.querySelectorAll("[role=img]")].find(one => one.offsetParent) ?? figure.querySelector("[role=img]");
  const name = shown().dataset.name;
  const png = () => {
    const drawn = shown().querySelector("svg"), box = drawn.viewBox.baseVal, image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas"), pen = canvas.getContext("2d"), scale = 8 / 3;  // 192 dots an inch
      [canvas.width, canvas.height] = [box.width * scale, box.height * scale];
      pen.drawImage(image, 0, 0, canvas.width, canvas.height);
      save(canvas.toDataURL("image/png"), `${name}.png`);
    };
    image.src = source(drawn);
  };
  figure.append(tools(["save PNG", png], ["save SVG", () => save(source(shown().querySelector("svg")), `${name}.svg`)]));
}
for (const box of document.querySelectorAll(".box")) {
  const table = box.querySelector("table"), body = table.tBodies[0], rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const copied = button => {
    const lines = [table.tHead.rows[0], ...body.rows].filter(row => !row.hidden);
    const text = lines.map(row => [...row.cells].map(cell => cell.textContent.trim()).join("\t")).join("\n");
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    button.textContent = document.execCommand("copy") ? "copied" : "could not copy";  // also in a page that is a file
    area.remove();
  };
  box.after(tools(["copy table", copied]));
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
  if (rows.length < 12) continue;
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
const sections = [...document.querySelectorAll("details.section")];
if (sections.length) {
  const all = button => {
    const open = !sections.every(one => one.open);
    for (const one of sections) one.open = open;
    button.textContent = open ? "close all sections" : "open all sections";
  };
  sections[0].before(tools(["open all sections", all], ["print", () => print()]));
}
