(() => {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const made = (tag, attributes = {}, ...inner) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...inner);
    return element;
  };
  const t = (key) => {
    const [en, ja] = data.words[key], both = document.createDocumentFragment();
    both.append(made("span", { "data-lang": "en" }, en), made("span", { "data-lang": "ja", lang: "ja" }, ja));
    return both;
  };

  // Language and light

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

  // Folding, and links into what is folded

  all("[data-fold]").forEach((b) => b.addEventListener("click", () =>
    all("details.layer", b.closest("section")).forEach((d) => { d.open = b.dataset.fold === "open"; })));
  const unfold = () => {
    let at = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
    const target = at;
    for (; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);

  // Tables: sorted by a column, filtered by words, a histogram below a row when asked for

  const value = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return -Infinity; // a row that says in one cell why it has no numbers
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
  };
  const close = (row) => {
    if (row.nextElementSibling?.classList.contains("drawn")) row.nextElementSibling.remove();
    all("button.bins", row).forEach((b) => b.setAttribute("aria-expanded", false));
  };
  all("table.sorted").forEach((table) => all("th button", table).forEach((button) => {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const up = head.getAttribute("aria-sort") !== "ascending";
      all("th", table).forEach((th) => th.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      all("tr", body).forEach(close);
      const rows = [...body.rows].map((row) => [value(row, head.cellIndex), row]);
      rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1));
      body.append(...rows.map(([, row]) => row));
    });
  }));
  all("input[data-filter]").forEach((input) => input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (text) => words.every((word) => text.toLowerCase().includes(word));
    const section = input.closest("section"), rows = all("tbody tr:not(.drawn)", section);
    rows.forEach((row) => { row.hidden = !fits(row.textContent); if (row.hidden) close(row); });
    all("[data-count]", section).forEach((o) => {
      o.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} / ${rows.length}` : "";
    });
    all("details.layer", section).forEach((d) => {
      d.hidden = words.length > 0 && !fits(d.textContent);
      if (words.length > 0 && !d.hidden) d.open = true;
    });
  }));
  const figure = (n) => Number(n.toPrecision(4)).toString();
  const histogram = ({ bins, least, most, mean, deviation }) => {
    const counts = bins.split(" ").map(Number), tall = Math.max(...counts);
    const wide = 640 / 32, [from, to, middle] = [least, most, mean].map(Number);
    const first = counts.length === 1 ? 310 : 0; // all values are one
    const svg = (tag, attributes, text = "") => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      element.append(text);
      return element;
    };
    const at = to > from ? ((middle - from) / (to - from)) * 640 : 320;
    const picture = svg("svg", { viewBox: "0 0 640 190", role: "img", "aria-label": bins });
    counts.forEach((count, number) => {
      const height = (count / tall) * 150;
      const bar = svg("rect", { x: first + number * wide + 0.5, y: 160 - height, width: wide - 1, height });
      const width = (to - from) / counts.length;
      bar.append(svg("title", {}, `${figure(from + number * width)} … ${figure(from + (number + 1) * width)}: ${count}`));
      picture.append(bar);
    });
    picture.append(
      svg("path", { class: "lines", d: "M0 160H640" }), svg("path", { class: "mean", d: `M${at} 4V166` }),
      svg("text", { x: 0, y: 182 }, figure(from)), svg("text", { x: 640, y: 182, class: "end" }, figure(to)),
      svg("text", { x: Math.min(560, Math.max(80, at)), y: 182, class: "middle" }, figure(middle)));
    const told = made("figcaption", { class: "soft" }, t("bins_drawn"), "; ", t("mean"), ` ${figure(middle)}, `,
      t("deviation"), ` ${figure(Number(deviation))}`);
    return made("figure", {}, picture, told);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.bins");
    if (!button) return;
    const row = button.closest("tr"), open = button.getAttribute("aria-expanded") !== "true";
    close(row);
    if (!open) return;
    const buttons = all("button.bins", row); // both of two artifacts
    buttons.forEach((b) => b.setAttribute("aria-expanded", true));
    const cell = made("td", { colspan: row.cells.length + 8 }, made("div", { class: "columns" }, ...buttons.map((b) => histogram(b.dataset))));
    row.after(made("tr", { class: "drawn" }, cell));
  });

  // What is typed elsewhere

  all("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    const text = button.parentElement.querySelector("pre");
    getSelection().selectAllChildren(text);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.replaceChildren(t("copied"));
    } catch { /* it is selected, to be copied by hand */ }
  }));
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || /INPUT|TEXTAREA|SELECT/.test(document.activeElement.tagName)) return;
    const inputs = all("input[data-filter], input[data-find]").filter((input) => !input.closest("[hidden]"));
    const next = inputs.find((input) => input.getBoundingClientRect().bottom > 60) || inputs[0];
    if (next) { event.preventDefault(); next.focus(); }
  });
  all("div.picture").forEach((picture) => { picture.hidden = false; pictures.viewer(picture, data, t); });
  unfold();
})();
