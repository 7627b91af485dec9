"use strict";
// What the report's page can do beyond being read: tips, sorting, filtering, languages in groups, and a window for
// each cell. Texts of data become text nodes only, never marks.
(() => {
  const $ = (query, within = document) => within.querySelector(query);
  const $$ = (query, within = document) => [...within.querySelectorAll(query)];
  const data = JSON.parse($("#details").textContent);
  const cells = new Map(data.cells.map((cell) => [cell.label, cell]));
  const AXES = ["backbone", "method", "intermediate", "transfer", "target"];
  const SVG = "http" + ":/" + "/www.w3.org/2000/svg"; // names the format; nothing is asked of it

  function make(tag, attributes = {}, ...children) {
    const one = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) one.addEventListener(name.slice(2), value);
      else if (value !== undefined && value !== false) one.setAttribute(name, value === true ? "" : value);
    }
    one.append(...children.filter((child) => child !== null && child !== undefined));
    return one;
  }

  const say = (text) => { $("#said").textContent = text; };

  // Tips: what a point or an entry has to tell, on pointing, focus and touch.
  const tip = $("#tip");
  for (const one of $$("[title]", $("main"))) {
    one.dataset.tip = one.title;
    one.removeAttribute("title");
  }
  function show(of) {
    tip.textContent = of.dataset.tip;
    tip.hidden = false;
    const at = of.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = Math.min(Math.max(4, at.left + at.width / 2 - own.width / 2), innerWidth - own.width - 4);
    const above = at.top - own.height - 6;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 4 ? above : at.bottom + 6}px`;
  }
  const hide = () => { tip.hidden = true; };
  const tipped = (event) => event.target.closest?.("[data-tip]");
  document.addEventListener("pointerover", (event) => { const of = tipped(event); of ? show(of) : hide(); });
  document.addEventListener("focusin", (event) => { const of = tipped(event); of ? show(of) : hide(); });
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, { capture: true, passive: true });

  // Tables
  const spanned = (row) => { // cells by the column that they begin in
    const found = [];
    let at = 0;
    for (const cell of row.cells) { found[at] = cell; at += cell.colSpan; }
    return found;
  };
  const textAt = (row, column) => (spanned(row)[column]?.textContent ?? "").trim();
  function number(text) {
    const plain = text.replace(/\u2212/g, "-").replace(/[,\u2020%]/g, "").trim();
    const found = /^[+-]?\d+(\.\d+)?( [MG]?B?)?$/.test(plain) ? parseFloat(plain) : NaN;
    return Number.isNaN(found) ? null : found;
  }
  function compare(one, other) { // numbers before texts, what is missing last
    const [a, b] = [number(one), number(other)];
    if (a !== null && b !== null) return a - b;
    if (a !== null || b !== null) return a !== null ? -1 : 1;
    return one.localeCompare(other, "en", { numeric: true });
  }

  function sortable(table) {
    const titles = $("tr.titles", table);
    const body = $("tbody:not(.footer)", table);
    if (!body || body.rows.length < 2) return;
    const original = [...body.rows];
    for (const head of titles.cells) {
      // No button element: Chromium leaves those out where it repeats a table's head on the next sheet of paper.
      const button = make("span", { class: "sort", role: "button", tabindex: "0" }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); button.click(); }
      });
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        const firstDown = !head.classList.contains("label");
        const order = now === null ? (firstDown ? "descending" : "ascending")
          : now === (firstDown ? "descending" : "ascending") ? (firstDown ? "ascending" : "descending") : null;
        for (const other of titles.cells) other.removeAttribute("aria-sort");
        table.classList.toggle("sorted", order !== null);
        if (order === null) {
          body.append(...original);
          say("in the order of the recipe");
          return;
        }
        head.setAttribute("aria-sort", order);
        const column = spanned(titles).indexOf(head), sign = order === "ascending" ? 1 : -1;
        const keyed = original.map((row, place) => [textAt(row, column), place, row]);
        keyed.sort((a, b) => {
          const [one, other] = [number(a[0]), number(b[0])];
          const there = (one === null) - (other === null);
          // What is missing stays last in both directions.
          return (!head.classList.contains("label") && there) || sign * compare(a[0], b[0]) || a[1] - b[1];
        });
        body.append(...keyed.map(([, , row]) => row));
        say(`sorted by ${button.textContent}, ${order}`);
      });
    }
  }

  function filterable(table, tools) {
    const titles = $("tr.titles", table);
    const body = $("tbody:not(.footer)", table);
    if (!body || body.rows.length < 8) return;
    const count = make("span", { class: "count", role: "status" });
    const search = make("input", { type: "search", placeholder: "words", "aria-label": "rows that hold these words" });
    const choices = [];
    const apply = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        const fits = words.every((word) => text.includes(word))
          && choices.every(([column, select]) => !select.value || textAt(row, column) === select.value);
        row.hidden = !fits;
        left += fits;
      }
      // A label that is not repeated may have stood in a row that is gone now.
      table.classList.toggle("filtered", left < body.rows.length);
      for (const cell of $$(".repeat, .was-repeat", body)) {
        cell.classList.toggle("was-repeat", left < body.rows.length);
        cell.classList.toggle("repeat", left === body.rows.length);
      }
      count.textContent = left < body.rows.length ? `${left} of ${body.rows.length} rows` : "";
    };
    tools.append(make("label", {}, "Filter", search));
    spanned(titles).forEach((head, column) => {
      if (!head.classList.contains("label")) return;
      const values = [...new Set([...body.rows].map((row) => textAt(row, column)))].filter(Boolean);
      if (values.length < 2 || values.length > 15 || values.some((value) => value.length > 40)) return;
      const select = make("select", { "aria-label": head.textContent }, make("option", { value: "" }, "all"),
        ...values.sort(compare).map((value) => make("option", { value }, value)));
      select.addEventListener("change", apply);
      choices.push([column, select]);
      tools.append(make("label", {}, head.textContent, select));
    });
    search.addEventListener("input", apply);
    tools.append(count);
  }

  // Languages side by side: as listed, by family, or by script; all tables alike.
  const grouped = [];
  function groupable(table, tools) {
    const titles = $("tr.titles", table), groups = $("tr.groups", table);
    const heads = $$("th[data-language]", titles);
    if (heads.length < 4) return;
    const places = heads.map((head) => [...titles.cells].indexOf(head));
    const start = spanned(titles).indexOf(heads[0]);
    const rows = $$("tbody tr", table).map((row) => {
      const by = spanned(row);
      return [row, heads.map((_, place) => by[start + place])];
    });
    if (rows.some(([, own]) => own.some((cell) => !cell || cell.colSpan > 1))) return;
    const former = groups ? [...groups.cells].map((cell) => cell.cloneNode(true)) : [];
    const select = make("select", { "aria-label": "order of languages" },
      ...[["", "as listed"], ["family", "by family"], ["script", "by script"]]
        .map(([value, text]) => make("option", { value }, text)));
    select.addEventListener("change", () => { for (const one of grouped) one(select.value); });
    tools.append(make("label", {}, "Languages", select));
    grouped.push((by) => {
      select.value = by;
      const order = heads.map((_, place) => place);
      const group = (place) => heads[place].dataset[by] || "";
      if (by) order.sort((a, b) => group(a).localeCompare(group(b)) || a - b);
      const after = titles.cells[places[0] - 1];
      after.after(...order.map((place) => heads[place]));
      for (const [row, own] of rows) {
        const before = row.cells[[...row.cells].indexOf(order.map((place) => own[place])
          .sort((a, b) => a.cellIndex - b.cellIndex)[0]) - 1];
        before.after(...order.map((place) => own[place]));
      }
      if (groups) {
        groups.replaceChildren(...former.map((cell) => cell.cloneNode(true)));
        if (by) {
          let taken = 0;
          for (const cell of [...groups.cells]) {
            if (taken >= start) cell.remove();
            taken += cell.colSpan;
          }
          for (let place = 0; place < order.length;) {
            let end = place;
            while (end < order.length && group(order[end]) === group(order[place])) end += 1;
            const name = make("span", {}, group(order[place]));
            groups.append(make("th", { class: "group", colspan: end - place }, name));
            place = end;
          }
        }
      }
      freeze(table);
    });
  }

  function freeze(table) { // the first columns stay in sight, as many as leave room for the others
    const scroll = table.parentElement, wrap = scroll.parentElement;
    const titles = $("tr.titles", table);
    for (const cell of $$(".frozen", table)) { cell.classList.remove("frozen"); cell.style.left = ""; }
    let left = 0, frozen = 0;
    for (const head of titles.cells) {
      const width = head.offsetWidth;
      if (!head.classList.contains("label") || left + width > scroll.clientWidth * (innerWidth < 641 ? 0.42 : 0.6)) break;
      for (const row of table.rows) {
        const cell = spanned(row)[frozen];
        if (cell && cell.colSpan === 1 && !cell.hasAttribute("data-language")) {
          cell.classList.add("frozen");
          cell.style.left = `${left}px`;
        }
      }
      left += width;
      frozen += 1;
    }
    wrap.style.setProperty("--frozen", `${left}px`);
    edges(scroll);
  }
  function edges(scroll) {
    const wrap = scroll.parentElement;
    if (!wrap.classList.contains("wide")) return;
    wrap.classList.toggle("more-left", scroll.scrollLeft > 2);
    wrap.classList.toggle("more-right", scroll.scrollLeft + scroll.clientWidth < scroll.scrollWidth - 2);
  }

  for (const table of $$("main .scroll > table")) {
    const scroll = table.parentElement;
    const tools = make("div", { class: "tools" });
    const wrap = make("div", { class: "wide" });
    scroll.replaceWith(wrap);
    wrap.append(scroll);
    sortable(table);
    filterable(table, tools);
    groupable(table, tools);
    if (tools.children.length) wrap.before(tools);
    for (const row of $$("tr[data-cell]", table)) {
      const first = row.cells[0];
      first.replaceChildren(make("button", { class: "open", type: "button", "aria-haspopup": "dialog" },
        first.textContent || "open"));
    }
    scroll.addEventListener("scroll", () => edges(scroll), { passive: true });
    freeze(table);
  }
  addEventListener("resize", () => { for (const table of $$("main .scroll > table")) freeze(table); });
  for (const one of $$("details")) {
    one.addEventListener("toggle", () => { for (const table of $$(".scroll > table", one)) freeze(table); });
  }
  addEventListener("beforeprint", () => {
    for (const one of $$("details:not(.numbers):not([open])")) { one.dataset.shut = "1"; one.open = true; }
  });
  addEventListener("afterprint", () => {
    for (const one of $$("details[data-shut]")) { delete one.dataset.shut; one.open = false; }
  });

  // The window of a cell
  const dialog = $("#cell");
  let language = "", confusionOf = "";

  document.addEventListener("click", (event) => {
    const of = event.target.closest?.("[data-cell]");
    if (!of || event.target.closest("a") || String(getSelection())) return;
    if (cells.has(of.dataset.cell)) open(of.dataset.cell);
  });
  document.addEventListener("keydown", (event) => {
    const of = event.target.closest?.("circle[data-cell]");
    if (of && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); open(of.dataset.cell); }
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    if (location.hash.startsWith("#cell=")) history.replaceState(null, "", location.pathname + location.search);
  });
  function fromHash() {
    if (!location.hash.startsWith("#cell=")) return;
    const label = decodeURIComponent(location.hash.slice(6));
    if (cells.has(label)) open(label);
  }
  addEventListener("hashchange", fromHash);

  function open(label) {
    hide();
    draw(cells.get(label));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    history.replaceState(null, "", `#cell=${encodeURIComponent(label)}`);
  }

  const near = (cell, axis) => data.cells.filter((other) =>
    [...AXES, "seed"].every((name) => name === axis || other[name] === cell[name]));

  function draw(cell) {
    const target = data.targets[cell.target];
    const close = make("button", { class: "plain close", type: "button", onclick: () => dialog.close() }, "Close");
    const body = [close, make("h3", { id: "cell-title" }, cell.label)];
    const state = make("p", { class: cell.status === "done" ? "" : "bad" }, cell.status);
    if (cell.message) state.append(`: ${cell.message}`);
    if (cell.verdict) state.append(make("br"), make("span", { class: "bad" }, cell.verdict));
    body.push(state);
    for (const axis of ["seed", "intermediate", "transfer", "backbone"]) {
      const others = axis === "intermediate"
        ? data.cells.filter((other) => ["backbone", "method", "target", "seed"].every((name) => other[name] === cell[name])
          && (other.transfer === cell.transfer || other.transfer === "none" || cell.transfer === "none"))
        : near(cell, axis);
      if (others.length < 2 || others.length > 14) continue;
      const row = make("div", { class: "row", role: "group", "aria-label": axis }, make("span", {}, axis));
      for (const other of others) {
        const name = axis === "intermediate" && cell.transfer === "none" && other.transfer !== "none"
          ? `${other.intermediate} · ${other.transfer}` : String(other[axis]);
        row.append(make("button", { class: "plain", type: "button", "aria-pressed": String(other === cell),
          onclick: () => { open(other.label); $(`[aria-label="${axis}"] [aria-pressed="true"]`, dialog)?.focus(); } }, name));
      }
      body.push(row);
    }
    body.push(...scores(cell, target), ...curves(cell), ...confusions(cell, target), ...answers(cell, target),
      ...stages(cell), ...recipe(cell));
    dialog.replaceChildren(...body);
  }

  function scores(cell, target) {
    if (!cell.scores.length) return [];
    const codes = [...new Set(cell.scores.map((one) => one[0]))];
    const head = make("tr", {}, make("th", { class: "label" }, "metric"), ...codes.map((code) => make("th",
      { class: target.sources.includes(code) ? "strong" : "", "data-tip": data.languages[code].name }, code)));
    const rows = target.metrics.map((metric) => make("tr", {}, make("td", { class: "label" }, metric.replace(/_/g, " ")),
      ...codes.map((code) => {
        const one = cell.scores.find((score) => score[0] === code && score[1] === metric);
        return one ? make("td", { "data-tip": `${data.languages[code].name}: ${one[2]} [${one[3]}, ${one[4]}], ${one[5]} items` },
          one[2].toFixed(1)) : make("td", {}, "\u2013");
      })));
    return [make("h4", {}, "Scores"), scrolled(make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))),
      make("p", { class: "notes" }, "Of this trained model alone, with intervals over items; bold: trained in.")];
  }
  const scrolled = (table) => make("div", { class: "scroll", tabindex: "0" }, table);

  function curves(cell) {
    const found = cell.stages.map((place) => data.stages[place]).filter((stage) => stage.curve);
    if (!found.length) return [];
    const width = 520, height = 190, low = 30, left = 46;
    const steps = Math.max(...found.map((stage) => stage.curve[0].at(-1)));
    const top = 1.05 * Math.max(...found.map((stage) => Math.max(...stage.curve[1])));
    const x = (step) => left + (step / steps) * (width - left - 8);
    const y = (loss) => height - low - (loss / top) * (height - low - 8);
    const svg = draws("svg", { viewBox: `0 0 ${width} ${height}`, class: "curve", role: "img",
      "aria-label": "training loss by step" });
    svg.append(draws("path", { d: `M${left} 8V${height - low}H${width - 8}`, fill: "none", stroke: "currentColor" }));
    for (const share of [0, 0.5, 1]) {
      svg.append(label(x(share * steps), height - low + 14, Math.round(share * steps), share === 1 ? "end" : "middle"),
        label(left - 5, y(share * top / 1.05) + 4, (share * top / 1.05).toFixed(2), "end"));
    }
    svg.append(label(width / 2, height - 3, "step", "middle"));
    found.forEach((stage, place) => {
      const points = stage.curve[0].map((step, at) => `${x(step).toFixed(1)},${y(stage.curve[1][at]).toFixed(1)}`);
      svg.append(draws("polyline", { points: points.join(" "), fill: "none", stroke: "currentColor",
        "stroke-width": 1.4, "stroke-dasharray": place === found.length - 1 ? "" : `${3 + 2 * place} 3` }));
    });
    const names = found.map((stage, place) =>
      `${place === found.length - 1 ? "solid" : "dashed"}: ${stage.kind} ${stage.label}`).join("; ");
    return [make("h4", {}, "Learning curve"), svg, make("p", { class: "notes" }, `Training loss. ${names}.`)];
  }
  function draws(tag, attributes) {
    const one = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) if (value !== "") one.setAttribute(name, value);
    return one;
  }
  function label(x, y, text, anchor) {
    const one = draws("text", { x, y, "text-anchor": anchor, fill: "currentColor" });
    one.textContent = text;
    return one;
  }

  function chooser(name, values, texts, chosen, choose) {
    const select = make("select", { "aria-label": name }, ...values.map((value, place) =>
      make("option", { value, selected: value === chosen }, texts[place])));
    select.addEventListener("change", () => choose(select.value));
    return make("label", { class: "row" }, name, select);
  }
  const named = (code) => (data.languages[code] ? `${data.languages[code].name} (${code})` : code);

  function confusions(cell, target) {
    if (!cell.confusions.length) return [];
    const names = cell.confusions.map(([name]) => name);
    if (!names.includes(confusionOf)) confusionOf = names[0];
    const place = make("div", {});
    const fill = (name) => {
      confusionOf = name;
      const counts = cell.confusions.find(([one]) => one === name)[1];
      const totals = counts.map((row) => row.reduce((sum, one) => sum + one, 0));
      place.replaceChildren(scrolled(make("table", { class: "confusion" },
        make("thead", {}, make("tr", {}, make("th", { class: "label" }, "right answer \u2193, given \u2192"),
          ...target.labels.map((text) => make("th", {}, text)), make("th", {}, "all"))),
        make("tbody", {}, ...counts.map((row, at) => make("tr", {}, make("td", { class: "label" }, target.labels[at]),
          ...row.map((count, to) => {
            const share = totals[at] ? count / totals[at] : 0;
            const one = make("td", { class: at === to ? "diagonal" : "",
              "data-tip": `${target.labels[at]} answered as ${target.labels[to]}: ${count} of ${totals[at]} (${(100 * share).toFixed(1)} %)` }, String(count));
            one.style.background = `color-mix(in srgb, ${at === to ? "var(--right)" : "var(--wrong)"} ${Math.round(38 * share)}%, var(--paper))`;
            return one;
          }), make("td", { class: "faint" }, String(totals[at]))))))));
    };
    fill(confusionOf);
    const choose = names.length > 1 ? chooser("Items of", names, names.map(named), confusionOf, fill) : null;
    return [make("h4", {}, "Confusions"), ...(choose ? [choose] : []), place];
  }

  function answers(cell, target) {
    const codes = Object.keys(cell.items).filter((code) => cell.items[code].length);
    if (!codes.length) return [];
    if (!codes.includes(language)) language = codes.find((code) => !target.sources.includes(code)) ?? codes[0];
    const list = make("ol", { class: "items" });
    const fill = (code) => {
      language = code;
      list.replaceChildren(...cell.items[code].map((item) => answered(item, code, target)));
    };
    fill(language);
    const why = target.without ? [make("p", { class: "notes" }, `Without texts: ${target.without}.`)] : [];
    return [make("h4", {}, "Answers"), chooser("In", codes, codes.map(named), language, fill), ...why, list,
      make("p", { class: "notes" }, "A few that are wrong and a few that are right, drawn by the items\u2019 ids alone.")];
  }
  const candidate = (name, known) => known?.[name]?.[0] ?? `candidate ${name.slice(1)}`; // behind its arrow
  const answerText = (value, target, code) =>
    typeof value === "number" && target.labels.length ? target.labels[value] ?? String(value)
      : Array.isArray(value) ? (value.length ? value.map((one) => answerText(one, target, code)).join(" / ") : "no answer")
        : value === "" ? "no answer" : target.sought ? candidate(value, target.texts[code]) : String(value);

  function answered([id, gold, given, right], code, target) {
    const about = { lang: code, dir: data.languages[code]?.rtl ? "rtl" : "auto" };
    const texts = target.texts[code]?.[id] ?? [];
    const item = make("li", { "data-right": String(right) });
    const tags = target.labels.length && Array.isArray(gold) && Array.isArray(given);
    const words = tags && texts.length ? texts[0].split(" ") : [];
    if (tags && words.length) {
      const line = make("p", about);
      words.slice(0, gold.length).forEach((word, at) => {
        const off = gold[at] !== given[at];
        const tag = make("small", { dir: "ltr" }, off ? `${target.labels[given[at]]}, not ${target.labels[gold[at]]}` : target.labels[gold[at]]);
        line.append(make("span", { class: off ? "tag off" : "tag" }, make("bdi", {}, word), "\u00a0", tag), " ");
      });
      item.append(line);
    } else {
      for (const text of texts) item.append(make("p", about, text));
    }
    const verdict = make("span", { class: right ? "is-right" : "is-wrong" }, right ? "\u2713 right" : "\u2717 wrong");
    const line = make("p", {}, verdict, ": ");
    if (tags) {
      const off = gold.filter((one, at) => one !== given[at]).length;
      line.append(`${gold.length - off} of ${gold.length} words`);
      if (!words.length) line.append(`; ${given.map((one) => target.labels[one] ?? one).join(" ")}`);
    } else {
      const of = target.sought ? { dir: "auto" } : about; // candidates may be of another language
      line.append(target.sought ? "found " : "answered ", make("bdi", of, answerText(given, target, code)));
      if (!right) line.append("; right is ", make("bdi", of, answerText(gold, target, code)));
    }
    item.append(line, make("p", { class: "id" }, "item ", make("bdi", {}, id)));
    return item;
  }

  function stages(cell) {
    const titles = ["stage", "name", "id", "status", "trained parameters", "steps", "in one pass", "seconds", "peak memory, GB"];
    const text = (value, digits = 0) => (value === undefined ? "\u2013"
      : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
    const rows = cell.stages.map((place) => data.stages[place]).map((stage) => make("tr", {},
      ...[stage.kind, stage.label, stage.id, stage.status ?? "not stored"].map((one) => make("td", { class: "label" }, one)),
      ...[text(stage.trained), text(stage.steps), text(stage.together), text(stage.seconds, 1),
        text(stage.memory === undefined ? undefined : stage.memory / 1e9, 2)].map((one) => make("td", {}, one))));
    const head = titles.map((title, at) => make("th", { class: at < 4 ? "label" : "" }, title));
    return rows.length ? [make("h4", {}, "Stages"), scrolled(make("table", {}, make("thead", {}, make("tr", {}, ...head)),
      make("tbody", {}, ...rows)))] : [];
  }

  // The recipe of this cell alone: the run's, with one value on each axis.
  function recipe(cell) {
    const own = JSON.parse(JSON.stringify(data.recipe));
    for (const [axis, name] of [["backbones", cell.backbone], ["methods", cell.method], ["targets", cell.target]]) {
      if (own[axis] && name in own[axis]) own[axis] = { [name]: own[axis][name] };
    }
    if (own.intermediates && cell.intermediate in own.intermediates) {
      const kept = { [cell.intermediate]: own.intermediates[cell.intermediate] };
      const needed = JSON.stringify(kept[cell.intermediate]);
      for (const [name, one] of Object.entries(own.intermediates)) { // members of a fusion, a merger, a stack
        if (name !== cell.intermediate && needed && needed.includes(JSON.stringify(name))) kept[name] = one;
      }
      own.intermediates = kept;
    }
    if (cell.transfer !== "none") own.transfers = [cell.transfer];
    own.seeds = [cell.seed];
    own.name = `${data.run}-cell`.slice(0, 60);
    delete own.compare;
    delete own.skip;
    const text = yaml(own);
    const copy = make("button", { class: "plain", type: "button", onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        say("copied");
        copy.textContent = "Copied";
      } catch { getSelection().selectAllChildren(shown); }
    } }, "Copy");
    const shown = make("pre", {}, text);
    return [make("h4", {}, "Recipe"), make("div", { class: "row" }, "This cell alone, as a recipe.", copy), shown];
  }
  const scalar = (value) => (typeof value === "string" && /^[A-Za-z][\w./ -]*$/.test(value) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value) && !/\s$/.test(value)
    ? value : JSON.stringify(value));
  function yaml(value, indent = "") {
    return Object.entries(value).filter(([, one]) => one !== undefined).map(([name, one]) => {
      const key = `${indent}${scalar(name)}:`;
      if (one === null || typeof one !== "object") return `${key} ${scalar(one)}\n`;
      if (Array.isArray(one)) return `${key} [${one.map((item) => (item !== null && typeof item === "object" ? JSON.stringify(item) : scalar(item))).join(", ")}]\n`;
      return Object.keys(one).length ? `${key}\n${yaml(one, `${indent}  `)}` : `${key} {}\n`;
    }).join("");
  }

  document.documentElement.dataset.ready = "1";
  fromHash();
})();
