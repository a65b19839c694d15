"use strict";
// Pictures of graphs: laid out in rows from inputs to outputs, folded, zoomed, by mouse or keyboard.
const pictures = (() => {
  const WIDTH = 184, HEIGHT = 40, GAP = 18, ROW = 26, PAD = 14, HEAD = 44, LETTERS = 25;
  const MOST = 2000; // nodes that are drawn at a time
  const FEW = 400; // nodes that are unfolded unasked
  const LONGEST = 24; // rows that a line goes around the nodes of
  const FAMILIES = [
    /input|_arg|placeholder/i, /conv/i, /dense|matmul|einsum/i, /norm/i, /pool|reduce|^(sum|mean|max|min)$/i,
    /relu|activation|softmax|sigmoid|tanh|gelu|elu|swish|silu/i, /dropout|noise|random/i,
    /embed|lookup|string|text|hash/i, /lstm|gru|rnn|while|^if$|call/i, /add|concat|mul|sub|merge|average|div/i,
    /_retval|output/i,
  ];
  const family = (kind) => FAMILIES.findIndex((pattern) => pattern.test(kind));
  const svg = (tag, attributes = {}, ...inner) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...inner);
    return made;
  };
  const short = (text) => (text.length > LETTERS ? `${text.slice(0, LETTERS - 1)}…` : text);
  const number = (n) => n.toLocaleString("en");

  // Items: a node, or a group of them that unfolds

  const item = (label, kind, parent, more = {}) =>
    ({ label, kind, parent, more, from: new Set(), to: new Set(), open: false, items: null });
  const itemsOf = (data, nodes, scoped, parent) => {
    const made = nodes.map(([name, kind, , more]) => ({ ...item(name, data.kinds[kind], parent, more), name }));
    const top = scoped ? nested(made, 0, parent) : made;
    const way = (at) => { const all = []; for (; at !== parent; at = at.parent) all.unshift(at); return all; };
    nodes.forEach(([, , inputs], place) => inputs.forEach((input) => {
      const a = way(made[input]), b = way(made[place]);
      let depth = 0;
      while (a[depth] === b[depth] && depth < a.length) depth += 1;
      if (a[depth] && b[depth]) { a[depth].to.add(b[depth]); b[depth].from.add(a[depth]); }
    }));
    return top;
  };
  const nested = (list, depth, parent) => { // by the parts of names between slashes
    const groups = new Map(), found = [];
    for (const one of list) {
      const parts = one.name.split("/");
      const key = parts.length > depth + 1 ? parts[depth] : null;
      if (key === null) { groups.set(one, [one]); continue; }
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(one);
    }
    if (groups.size === 1 && list.length > 1) return nested(list, depth + 1, parent);
    for (const [key, inside] of groups) {
      if (inside.length === 1) {
        Object.assign(inside[0], { parent, label: inside[0].name.split("/").slice(depth).join("/") });
        found.push(inside[0]);
      } else {
        const group = item(key, "", parent);
        group.size = inside.length;
        group.items = nested(inside, depth + 1, group);
        found.push(group);
      }
    }
    return found;
  };
  const folds = (data, one) => one.items || one.more.inside || called(data, one).length;
  const called = (data, one) => (one.more.calls || []).filter((name) => name in data.functions);
  const inside = (data, one) => {
    if (one.items) return one.items;
    const names = called(data, one);
    if (one.more.inside) one.items = itemsOf(data, one.more.inside, false, one);
    else if (names.length === 1) one.items = itemsOf(data, data.functions[names[0]], true, one);
    else one.items = names.map((name) => item(name, "", one, { calls: [name] }));
    return one.items;
  };
  const count = (data, items) =>
    items.reduce((sum, one) => sum + 1 + (one.open ? count(data, inside(data, one)) : 0), 0);

  // Layout: rows by how far from the inputs, each node below those that it takes values of

  const ranked = (items) => {
    const left = new Map(items.map((one) => [one, one.from.size]));
    const rank = new Map(), order = [];
    let ready = items.filter((one) => !one.from.size);
    while (order.length < items.length) {
      if (!ready.length) ready = [items.find((one) => !rank.has(one))]; // a loop: begin anywhere
      const next = [];
      for (const one of ready) {
        if (rank.has(one)) continue;
        const before = [...one.from].filter((other) => rank.has(other));
        rank.set(one, Math.max(-1, ...before.map((other) => rank.get(other))) + 1);
        order.push(one);
        for (const other of one.to) {
          left.set(other, left.get(other) - 1);
          if (left.get(other) === 0) next.push(other);
        }
      }
      ready = next;
    }
    for (const one of order) { // what takes nothing and is no input stands just above what needs it
      const after = [...one.to].map((other) => rank.get(other));
      if (!one.from.size && family(one.kind) !== 0 && after.length) rank.set(one, Math.max(0, Math.min(...after) - 1));
    }
    return rank;
  };
  const layout = (data, items) => {
    const rank = ranked(items);
    const boxes = new Map(), rows = [], lines = [];
    const put = (box, row) => { (rows[row] ||= []).push(box); return box; };
    for (const one of items) {
      const inner = one.open ? layout(data, inside(data, one)) : null;
      const width = inner ? Math.max(WIDTH, inner.width + 2 * PAD) : WIDTH;
      const height = inner ? inner.height + HEAD + PAD : HEIGHT;
      boxes.set(one, put({ one, inner, width, height, before: [] }, rank.get(one)));
    }
    for (const one of items) for (const other of one.to) {
      const a = boxes.get(one), b = boxes.get(other);
      const first = rank.get(one), last = rank.get(other), way = [a];
      if (last - first <= LONGEST) for (let row = first + 1; row < last; row += 1) {
        way.push(put({ width: 8, height: 0, before: [way.at(-1)], bend: true }, row));
      }
      if (last > first) b.before.push(a); // not the last bend: what forks and joins comes back in line
      lines.push([...way, b]);
    }
    let y = 0;
    const centre = (box) => box.x + box.width / 2;
    const mean = (list) => list.reduce((sum, n) => sum + n, 0) / list.length;
    for (const row of rows) {
      for (const box of row) {
        box.want = box.before.length ? mean(box.before.map(centre)) : y ? Infinity : 0;
      }
      row.sort((a, b) => (a.want < b.want ? -1 : a.want > b.want ? 1 : (a.bend ? 1 : 0) - (b.bend ? 1 : 0)));
      let right = -Infinity;
      for (const box of row) {
        if (box.want === Infinity) box.want = right === -Infinity ? 0 : right + box.width / 2;
        box.x = Math.max(box.want - box.width / 2, right);
        right = box.x + box.width + GAP;
      }
      const held = row.filter((box) => !box.bend);
      const shift = mean((held.length ? held : row).map((box) => box.want - centre(box)));
      const height = Math.max(...row.map((box) => box.height));
      for (const box of row) { box.x += shift; box.y = y + (height - box.height) / 2; }
      y += height + ROW;
    }
    const all = rows.flat();
    const least = Math.min(0, ...all.map((box) => box.x));
    for (const box of all) box.x -= least;
    const width = Math.max(0, ...all.map((box) => box.x + box.width));
    return { boxes: [...boxes.values()], lines, rows, width, height: Math.max(0, y - ROW) };
  };
  const curve = (way) => {
    let text = "";
    for (let at = 1; at < way.length; at += 1) {
      const a = way[at - 1], b = way[at];
      const [x1, y1] = [a.x + a.width / 2, a.y + a.height], [x2, y2] = [b.x + b.width / 2, b.y];
      const middle = (y1 + y2) / 2;
      text += `${at === 1 ? `M${x1} ${y1}` : ""}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`;
    }
    return text;
  };

  // A viewer

  const viewer = (root, data, t) => {
    const frame = root.querySelector(".frame"), about = root.querySelector(".about");
    const choice = root.querySelector("select"), legend = root.querySelector(".legend");
    const find = root.querySelector("[data-find]"), note = root.querySelector(".note");
    let items = [], scale = 1, elements = new Map(), chosen = null, picked = null, size = [1, 1];

    const draw = () => {
      elements = new Map();
      const whole = layout(data, items);
      size = [whole.width + 2 * PAD, whole.height + 2 * PAD];
      const made = svg("svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, role: "group" });
      drawInto(made, whole, PAD, PAD);
      frame.replaceChildren(made);
      resize();
      explain();
      marked();
    };
    const drawInto = (group, made, x, y) => {
      const moved = svg("g", { transform: `translate(${x} ${y})` });
      moved.append(svg("path", { class: "lines", d: made.lines.map(curve).join("") }));
      for (const box of made.boxes) moved.append(node(box));
      group.append(moved);
    };
    const node = (box) => {
      const { one, inner, x, y, width, height } = box;
      const hue = family(one.kind);
      const name = [one.label, one.kind, one.more.mark].filter(Boolean).join(", ");
      const made = svg("g", {
        class: `node${hue < 0 ? "" : ` f${hue}`}${inner ? " open" : ""}${one.more.mark ? ` ${one.more.mark}` : ""}`,
        transform: `translate(${x} ${y})`, tabindex: -1, role: "button", "aria-label": name,
      }, svg("title", {}, name), svg("rect", { width, height, rx: 7 }));
      if (one.kind) made.append(svg("rect", { class: "stripe", width: 4, height: Math.min(height, HEIGHT) - 12, x: 5, y: 6, rx: 2 }));
      const opens = folds(data, one);
      const right = opens ? "" : one.more.parameters ? number(one.more.parameters) : "";
      made.append(svg("text", { x: 15, y: 17 }, short(one.label)));
      made.append(svg("text", { class: "kind", x: 15, y: 31 }, one.kind || (one.size ? `${number(one.size)} ops` : "")));
      if (right) made.append(svg("text", { class: "kind end", x: width - 8, y: 31 }, right));
      if (opens) {
        made.setAttribute("aria-expanded", Boolean(inner));
        made.append(svg("text", { class: "sign", x: width - 16, y: 21 }, inner ? "−" : "+"));
      }
      made.addEventListener("click", (event) => {
        event.stopPropagation();
        if (moved) return;
        if (opens) fold(one); else pick(one);
        elements.get(one)?.element.focus({ preventScroll: true });
      });
      elements.set(one, { element: made, box });
      if (inner) drawInto(made, inner, PAD, HEAD);
      return made;
    };
    const resize = () => {
      const drawn = frame.querySelector("svg");
      drawn.setAttribute("width", size[0] * scale);
      drawn.setAttribute("height", size[1] * scale);
    };
    const zoom = (factor, event = null) => {
      const before = scale, edge = frame.getBoundingClientRect();
      const x = event ? event.clientX - edge.left : edge.width / 2;
      const y = event ? event.clientY - edge.top : edge.height / 2;
      scale = Math.min(4, Math.max(0.03, scale * factor));
      resize();
      const ratio = scale / before;
      frame.scrollLeft = (frame.scrollLeft + x) * ratio - x;
      frame.scrollTop = (frame.scrollTop + y) * ratio - y;
    };
    const fit = (whole) => {
      const wide = frame.clientWidth / size[0];
      scale = Math.min(1, whole ? Math.min(wide, frame.clientHeight / size[1]) : Math.max(wide, 0.6));
      resize();
      const { x, width } = elements.get(items[0])?.box ?? { x: 0, width: size[0] };
      frame.scrollLeft = (PAD + x + width / 2) * scale - frame.clientWidth / 2;
      frame.scrollTop = 0;
    };
    const fold = (one) => {
      const before = elements.get(one).element.getBoundingClientRect();
      one.open = !one.open;
      const many = count(data, items) > MOST;
      if (many) one.open = false;
      note.replaceChildren(many ? t("too_many") : "");
      draw();
      const after = elements.get(one).element.getBoundingClientRect();
      frame.scrollLeft += after.left - before.left;
      frame.scrollTop += after.top - before.top;
      pick(one);
    };
    const foldAll = (open) => {
      let drawn = items.length;
      const left = [...items];
      while (left.length) { // level by level, as far as there is room
        const one = left.shift();
        if (!open) one.open = false;
        if (!(open ? folds(data, one) : one.items)) continue;
        const inner = inside(data, one);
        if (open && drawn + inner.length > MOST) { note.replaceChildren(t("too_many")); break; }
        drawn += inner.length;
        one.open = open;
        left.push(...inner);
      }
      draw();
      fit(true);
    };

    // What is told of one

    const pick = (one) => {
      picked = one;
      const line = (key, list) => {
        if (!list.length) return [];
        const made = document.createElement("p");
        made.append(t(key), " ");
        list.slice(0, 20).forEach((other) => {
          const go = document.createElement("button");
          go.type = "button"; go.className = "link"; go.textContent = other.label;
          go.addEventListener("click", () => see(other));
          made.append(go, " ");
        });
        return [made];
      };
      const text = (tag, value) => Object.assign(document.createElement(tag), { textContent: value });
      const parts = [text("h3", one.label)];
      if (one.kind) parts.push(text("p", one.kind));
      if (one.more.mark) { const p = document.createElement("p"); p.append(t(one.more.mark)); parts.push(p); }
      if (one.more.parameters) {
        const p = document.createElement("p");
        p.append(`${number(one.more.parameters)} `, t("parameters"));
        parts.push(p);
      }
      if (one.more.calls) parts.push(text("p", one.more.calls.join(", ")));
      parts.push(...line("from", [...one.from]), ...line("to", [...one.to]));
      const block = one.more.anchor && document.getElementById(one.more.anchor);
      if (block) {
        for (const inner of block.querySelectorAll(":scope > div > :is(p.held, pre)")) parts.push(inner.cloneNode(true));
        const link = document.createElement("a");
        link.href = `#${one.more.anchor}`;
        link.append(t("in_the_list"));
        parts.push(link);
      }
      about.replaceChildren(...parts);
      marked();
    };
    const see = (one) => {
      const found = elements.get(one);
      if (!found) return;
      found.element.focus({ preventScroll: true });
      const inside = frame.getBoundingClientRect(), at = found.element.getBoundingClientRect();
      if (at.top < inside.top || at.bottom > inside.bottom) frame.scrollTop += at.top - inside.top - inside.height / 3;
      if (at.left < inside.left || at.right > inside.right) frame.scrollLeft += at.left - inside.left - inside.width / 3;
      pick(one);
    };
    const marked = () => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      const fits = (one) => (!words.length || words.every((w) => `${one.label} ${one.kind}`.toLowerCase().includes(w)))
        && (chosen === null || one.kind === chosen);
      const some = words.length > 0 || chosen !== null;
      for (const [one, { element }] of elements) {
        element.classList.toggle("dim", some && !one.open && !fits(one));
        element.classList.toggle("picked", one === picked);
      }
    };
    const explain = () => {
      const kinds = new Map();
      for (const one of elements.keys()) if (one.kind) kinds.set(one.kind, (kinds.get(one.kind) || 0) + 1);
      const shown = [...kinds].sort((a, b) => b[1] - a[1]).slice(0, 14);
      legend.replaceChildren(...shown.map(([kind, many]) => {
        const made = document.createElement("button");
        made.type = "button";
        made.className = `chip f${family(kind)}`;
        made.setAttribute("aria-pressed", kind === chosen);
        made.append(kind, Object.assign(document.createElement("span"), { textContent: number(many) }));
        made.addEventListener("click", () => {
          chosen = chosen === kind ? null : kind;
          for (const other of legend.children) other.setAttribute("aria-pressed", other === made && chosen !== null);
          marked();
        });
        return made;
      }));
    };

    // Mouse and keyboard

    let moved = false;
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const from = [event.clientX, event.clientY, frame.scrollLeft, frame.scrollTop];
      moved = false;
      const move = (to) => {
        const [x, y] = [to.clientX - from[0], to.clientY - from[1]];
        if (Math.abs(x) + Math.abs(y) > 4) moved = true;
        frame.scrollLeft = from[2] - x;
        frame.scrollTop = from[3] - y;
      };
      const done = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", done); };
      addEventListener("pointermove", move);
      addEventListener("pointerup", done);
    });
    frame.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, event);
    }, { passive: false });
    const beside = (one, step) => {
      const { box } = elements.get(one);
      const row = [...elements.values()].filter((e) => e.box.one.parent === one.parent && Math.abs(e.box.y + e.box.height / 2 - box.y - box.height / 2) < 1);
      row.sort((a, b) => a.box.x - b.box.x);
      return row[row.findIndex((e) => e.box === box) + step]?.box.one;
    };
    const keys = {
      ArrowDown: (one) => [...one.to][0], ArrowUp: (one) => [...one.from][0],
      ArrowLeft: (one) => beside(one, -1), ArrowRight: (one) => beside(one, 1),
      Escape: (one) => one.parent,
    };
    frame.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const at = [...elements].find(([, { element }]) => element === document.activeElement)?.[0];
      if (event.key === "+" || event.key === "=") zoom(1.25);
      else if (event.key === "-") zoom(0.8);
      else if (event.key === "0") fit(true);
      else if ((event.key === "Enter" || event.key === " ") && at) {
        if (folds(data, at)) fold(at); else pick(at);
        elements.get(at)?.element.focus({ preventScroll: true });
      } else if (event.key in keys) {
        const next = at ? keys[event.key](at) : items[0];
        if (next) see(next);
      } else return;
      event.preventDefault();
    });
    const steps = { in: () => zoom(1.25), out: () => zoom(0.8), fit: () => fit(true), open: () => foldAll(true), close: () => foldAll(false) };
    root.querySelectorAll("[data-picture]").forEach((b) => b.addEventListener("click", () => steps[b.dataset.picture]()));
    find.addEventListener("input", marked);
    find.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      const hits = [...elements].filter(([, { element }]) => !element.classList.contains("dim")).map(([one]) => one);
      const next = hits[(hits.indexOf(picked) + 1) % hits.length];
      if (next) { see(next); find.focus({ preventScroll: true }); }
    });
    const show = (number) => {
      const { nodes, scoped } = data.pictures[number];
      items = itemsOf(data, nodes, scoped, null);
      chosen = picked = null;
      if (items.length > MOST) { items = []; note.replaceChildren(t("too_many")); }
      for (let level = items; level.length < 6;) { // what is alone is looked into
        const folded = level.filter((one) => folds(data, one));
        if (folded.length !== 1 || inside(data, folded[0]).length > FEW) break;
        folded[0].open = true;
        level = inside(data, folded[0]);
      }
      draw();
      fit(false);
      about.replaceChildren(t("pick"));
    };
    const first = root.dataset.first ? Number(root.dataset.first) : 0;
    if (choice) choice.addEventListener("change", () => show(Number(choice.value)));
    show(first);
  };
  return { viewer };
})();
