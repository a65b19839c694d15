"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const language = (code) => {
    root.lang = code;
    all("[data-set-lang]").forEach((b) => b.setAttribute("aria-pressed", b.dataset.setLang === code));
  };
  language((navigator.language || "en").startsWith("ja") ? "ja" : "en");
  all("[data-set-lang]").forEach((b) => b.addEventListener("click", () => language(b.dataset.setLang)));
  all("[data-dark]").forEach((b) => b.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  }));
  all("[data-fold]").forEach((b) => b.addEventListener("click", () =>
    all("details.layer", b.closest("section")).forEach((d) => { d.open = b.dataset.fold === "open"; })));
  const unfold = () => {
    let at = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
    const target = at;
    for (; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  unfold();
  all("[data-zoom]").forEach((b) => b.addEventListener("click", () => {
    const svg = b.closest("div.picture").querySelector("svg");
    const factor = b.dataset.zoom === "in" ? 1.25 : 0.8;
    for (const side of ["width", "height"]) svg.setAttribute(side, svg.getAttribute(side) * factor);
  }));
  const value = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return -Infinity; // a row that says in one cell why it has no numbers
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
  };
  all("table.sorted").forEach((table) => all("th button", table).forEach((button) => {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const up = head.getAttribute("aria-sort") !== "ascending";
      all("th", table).forEach((th) => th.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [value(row, head.cellIndex), row]);
      rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1));
      body.append(...rows.map(([, row]) => row));
    });
  }));
  all("input[data-filter]").forEach((input) => input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (text) => words.every((word) => text.toLowerCase().includes(word));
    const section = input.closest("section");
    all("tbody tr", section).forEach((row) => { row.hidden = !fits(row.textContent); });
    all("details.layer", section).forEach((d) => {
      d.hidden = words.length > 0 && !fits(d.textContent);
      if (words.length > 0 && !d.hidden) d.open = true;
    });
  }));
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || /INPUT|TEXTAREA/.test(document.activeElement.tagName)) return;
    const first = document.querySelector("input[data-filter]");
    if (first) { event.preventDefault(); first.focus(); }
  });
})();
