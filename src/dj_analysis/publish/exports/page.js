"use strict";
// Tables sort on a click on a header: upwards, downwards, then back as they were; what is missing stays last.
(() => {
  const missing = new Set(["", "—"]);

  const keyOf = (cell, isNumber) => {
    if (!cell) return null;
    if (isNumber) return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
    const words = cell.textContent.trim();
    return missing.has(words) ? null : words;
  };

  const compare = (a, b, isNumber) => (isNumber ? a - b : a.localeCompare(b, "zh", { numeric: true }));

  const sort = (table, header, rows) => {
    const next = { none: "ascending", ascending: "descending", descending: "none" }[header.getAttribute("aria-sort") || "none"];
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    if (next !== "none") header.setAttribute("aria-sort", next);
    const column = header.cellIndex, isNumber = header.classList.contains("figure"), sign = next === "descending" ? -1 : 1;
    const keyed = rows.map((row, place) => ({ row, place, key: next === "none" ? null : keyOf(row.cells[column], isNumber) }));
    keyed.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.place - b.place;
      return sign * compare(a.key, b.key, isNumber) || a.place - b.place;
    });
    table.tBodies[0].append(...keyed.map((one) => one.row));
  };

  for (const table of document.querySelectorAll("table")) {
    if (!table.tHead || !table.tBodies.length || table.tBodies[0].rows.length < 2) continue;
    const rows = [...table.tBodies[0].rows];
    for (const header of table.tHead.querySelectorAll("th")) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sort(table, header, rows));
    }
  }

  // A frame is a stop of the keyboard only where its table is wider than the page.
  const frames = [...document.querySelectorAll(".table-frame")];
  const measure = () => {
    for (const frame of frames) {
      if (frame.scrollWidth > frame.clientWidth + 1) frame.tabIndex = 0;
      else frame.removeAttribute("tabindex");
    }
  };
  measure();
  addEventListener("resize", measure);

  // A box that leaves the rows in which each of its words stands.
  for (const box of document.querySelectorAll(".choose")) {
    const input = box.querySelector("input"), count = box.querySelector("output");
    const rows = [...document.getElementById(input.getAttribute("aria-controls")).tBodies[0].rows];
    box.hidden = false;
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      count.textContent = `${rows.filter((row) => !row.hidden).length} / ${rows.length}`;
    });
  }
})();
