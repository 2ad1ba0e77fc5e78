"use strict";
// Tables that sort, filter and download, and figures that download; without it the page is whole.
(function () {
  const root = document.documentElement;
  root.dataset.errors = "0";
  const count = (message) => {
    root.dataset.errors = String(Number(root.dataset.errors) + 1);
    root.dataset.error = message;
  };
  window.addEventListener("error", (event) => count(event.message));
  document.addEventListener("securitypolicyviolation", (event) => count(event.violatedDirective));
  const folded = () => document.querySelectorAll("details");
  window.addEventListener("beforeprint", () => folded().forEach((one) => {
    one.dataset.was = one.open ? "open" : "";
    one.open = true;
  }));
  window.addEventListener("afterprint", () => folded().forEach((one) => {
    one.open = one.dataset.was === "open";
  }));

  const FEWEST = 2; // rows below which there is nothing to sort or to find

  function make(tag, text, attributes) {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
    return made;
  }

  function download(name, text, type) {
    const address = URL.createObjectURL(new Blob([text], { type }));
    const link = make("a", "", { href: address, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  // What stands in a cell, without what is read out besides.
  function textOf(cell) {
    const copy = cell.cloneNode(true);
    copy.querySelectorAll(".hidden").forEach((one) => one.remove());
    return copy.textContent.trim();
  }

  const numberOf = (text) => {
    const found = text.replaceAll("\u2212", "-").match(/^[<>]?\s*([+-]?[0-9.]+(?:e[+-]?[0-9]+)?)/i);
    return found ? Number(found[1]) : NaN;
  };

  function compare(a, b) {
    const [x, y] = [numberOf(a), numberOf(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    return Number.isNaN(x) - Number.isNaN(y) || a.localeCompare(b);
  }

  function sortBy(table, head, k) {
    const up = head.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("thead th").forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows].map((row) => [textOf(row.cells[k]), row]);
    rows.sort(([a], [b]) => (up ? compare(a, b) : compare(b, a)));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }

  const quoted = (text) => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const asCsv = (table) => [...table.rows].map((row) =>
    [...row.cells].map((cell) => quoted(textOf(cell))).join(",") + "\r\n").join("");

  function equip(table, number) {
    const box = table.closest(".scroll");
    const caption = table.caption.textContent;
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, k) => {
      const button = make("button", head.textContent, { type: "button" });
      button.addEventListener("click", () => sortBy(table, head, k));
      head.replaceChildren(button);
    });
    const id = `filter-${number}`;
    const tools = make("div", "", { class: "tools" });
    const field = make("input", "", { type: "search", id });
    const shown = make("span", "", { role: "status", class: "soft" });
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      let left = 0;
      for (const row of table.tBodies[0].rows) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        left += !row.hidden;
      }
      shown.textContent = wanted ? `${left} of ${table.tBodies[0].rows.length} rows` : "";
    });
    const label = make("label", "Filter rows", { for: id });
    label.append(make("span", ` of: ${caption}`, { class: "hidden" }));
    const save = make("button", "Download CSV", { type: "button" });
    save.append(make("span", `: ${caption}`, { class: "hidden" }));
    save.addEventListener("click", () => {
      const section = table.closest("section");
      download(`${section ? section.id : "table"}-${number}.csv`, asCsv(table), "text/csv");
    });
    tools.append(label, field, save, shown);
    box.before(tools);
  }

  document.querySelectorAll(".scroll > table").forEach((table, k) => {
    if (!table.closest("details") && table.tBodies[0].rows.length >= FEWEST) equip(table, k + 1);
  });

  document.querySelectorAll(".paper svg").forEach((drawing) => {
    const save = make("button", "Download SVG", { type: "button" });
    const figure = drawing.closest("figure");
    save.append(make("span", `: ${figure.querySelector("figcaption").textContent}`,
      { class: "hidden" }));
    save.addEventListener("click", () => download(`${drawing.parentNode.id}.svg`,
      new XMLSerializer().serializeToString(drawing), "image/svg+xml"));
    const tools = make("div", "", { class: "tools" });
    tools.append(save);
    figure.append(tools);
  });
})();
