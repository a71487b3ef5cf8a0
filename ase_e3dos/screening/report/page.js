"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report-data").textContent);
  const { columns, spectra, figures, facts } = report;
  const data = columns.map((c) => c.values);
  const at = Object.fromEntries(columns.map((c, i) => [c.key, i]));
  const value = (key, row) => data[at[key]][row];
  const n = data[0].length;
  const $ = (id) => document.getElementById(id);
  const options = { displayModeBar: false, responsive: true };
  const number = (x, digits) =>
    x === null ? "" : x.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const elements = data[at.formula].map((f) => new Set(f.match(/[A-Z][a-z]?/g) || []));

  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }
  function formulaInto(target, formula) {
    target.replaceChildren();
    for (const piece of formula.split(/([\d.]+)/)) {
      if (piece) target.append(/^[\d.]/.test(piece) ? element("sub", piece) : piece);
    }
  }

  function nameInto(target, name) {
    const [before, below] = name.split("_");
    target.append(before);
    if (below) target.append(element("sub", below[0]), below.slice(1));
  }

  // Spectra: one byte for each point, of the maximum.
  const bytes = Uint8Array.from(atob(spectra.values), (c) => c.charCodeAt(0));
  function density(row) {
    const y = Array.from(bytes.subarray(row * spectra.n, (row + 1) * spectra.n));
    const sum = y.reduce((a, b) => a + b, 0) || 1;
    return y.map((v) => (v / sum) * (3 * value("n_sites", row)) / spectra.step_thz);
  }
  const wavenumbers = Array.from({ length: spectra.n }, (_, i) => spectra.start + spectra.step * i);

  let chosen = -1;
  function select(row) {
    if (!(row >= 0 && row < n)) return;
    chosen = row;
    const name = $("selected-name");
    formulaInto(name, value("formula", row));
    name.append(" ", element("small", value("id", row)));
    const list = $("selected-values");
    list.replaceChildren();
    for (const c of columns) {
      if (c.key === "id" || c.key === "formula") continue;
      const v = value(c.key, row);
      if (v === null || v === "") continue;
      const term = element("dt");
      nameInto(term, c.name);
      list.append(term, element("dd", c.text ? v : number(v, c.digits) + (c.unit ? " " + c.unit : "")));
    }
    const y = density(row);
    const top = Math.max(...y);
    let last = y.length - 1;
    while (last > 1 && y[last] < 0.004 * top) last -= 1;
    let first = 0;
    while (first < last && wavenumbers[first] < 0 && y[first] < 0.004 * top) first += 1;
    Plotly.react("spectrum", [{ x: wavenumbers, y, type: "scatter", mode: "lines", fill: "tozeroy",
      line: { color: "#2f6f8f", width: 1.8, shape: "linear" }, fillcolor: "rgba(47,111,143,0.15)",
      hovertemplate: "%{x:.0f} cm<sup>−1</sup>: %{y:.3g}<extra></extra>" }],
      { height: 270, margin: { l: 54, r: 8, t: 8, b: 44 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: "system-ui, 'Segoe UI', Roboto, sans-serif", size: 12, color: "#1f2933" },
        xaxis: { title: { text: "wavenumber / cm<sup>−1</sup>" }, range: [Math.min(wavenumbers[first], 0), wavenumbers[last] + 20], gridcolor: "#e4e7eb", zerolinecolor: "#9aa5b1" },
        yaxis: { title: { text: "states / THz and cell" }, rangemode: "tozero", gridcolor: "#e4e7eb", zeroline: false } },
      options);
    for (const line of $("materials").tBodies[0].rows) line.classList.toggle("chosen", Number(line.dataset.row) === row);
  }

  // The table: filtered and sorted row numbers, fifty at a time.
  const size = 50;
  let order = Array.from({ length: n }, (_, i) => i);
  let sortKey = "specific_heat", ascending = false, page = 0;
  function filtered() {
    const text = $("filter-text").value.trim().toLowerCase();
    const wanted = $("filter-elements").value.match(/[A-Z][a-z]?/g) || [];
    const low = $("filter-low").value === "" ? -Infinity : Number($("filter-low").value);
    const high = $("filter-high").value === "" ? Infinity : Number($("filter-high").value);
    const rows = [];
    for (let i = 0; i < n; i += 1) {
      const heat = value("specific_heat", i);
      if (heat < low || heat > high) continue;
      if (text && ![value("formula", i), value("id", i), value("warnings", i)].some((v) => v.toLowerCase().includes(text))) continue;
      if (!wanted.every((e) => elements[i].has(e))) continue;
      rows.push(i);
    }
    return rows;
  }
  function update() {
    order = filtered();
    const values = data[at[sortKey]], sign = ascending ? 1 : -1;
    const text = typeof values.find((v) => v !== null) === "string";
    order.sort((a, b) => {
      const x = values[a], y = values[b];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return sign * (text ? String(x).localeCompare(String(y), "en", { numeric: true }) : x - y) || a - b;
    });
    page = 0;
    draw();
  }
  function draw() {
    const body = $("materials").tBodies[0];
    body.replaceChildren();
    for (const row of order.slice(page * size, (page + 1) * size)) {
      const line = body.insertRow();
      line.dataset.row = row;
      line.tabIndex = 0;
      line.classList.toggle("chosen", row === chosen);
      for (const c of columns) {
        const cell = line.insertCell();
        const v = data[at[c.key]][row];
        if (c.key === "formula") formulaInto(cell, v);
        else cell.textContent = typeof v === "number" ? number(v, c.digits) : v === null ? "" : v;
        if (c.text) cell.className = "text";
      }
    }
    const pages = Math.max(Math.ceil(order.length / size), 1);
    $("page").textContent = `${page + 1} of ${pages}`;
    $("count").textContent = `${order.length.toLocaleString("en")} of ${n.toLocaleString("en")}`;
    for (const head of $("materials").tHead.rows[0].cells) {
      head.querySelector("i").textContent = head.dataset.key === sortKey ? (ascending ? " ▲" : " ▼") : "";
      head.ariaSort = head.dataset.key === sortKey ? (ascending ? "ascending" : "descending") : "none";
    }
  }
  const heads = $("materials").tHead.insertRow();
  for (const c of columns) {
    const head = element("th", undefined, c.text ? "text" : "");
    nameInto(head, c.name);
    head.dataset.key = c.key;
    head.append(element("i"), element("small", c.unit));
    head.addEventListener("click", () => {
      ascending = c.key === sortKey ? !ascending : Boolean(c.text);
      sortKey = c.key;
      update();
    });
    heads.append(head);
  }
  const body = $("materials").tBodies[0];
  body.addEventListener("click", (event) => {
    const line = event.target.closest("tr");
    if (line) select(Number(line.dataset.row));
  });
  body.addEventListener("keydown", (event) => {
    if (event.key === "Enter") select(Number(event.target.dataset.row));
  });
  for (const id of ["filter-text", "filter-elements", "filter-low", "filter-high"]) $(id).addEventListener("input", update);
  function filterBy({ elements: e = "", low = "", high = "" }) {
    $("filter-text").value = "";
    $("filter-elements").value = e;
    $("filter-low").value = low;
    $("filter-high").value = high;
    update();
  }
  $("filter-clear").addEventListener("click", () => filterBy({}));
  $("previous").addEventListener("click", () => { if (page > 0) { page -= 1; draw(); } });
  $("next").addEventListener("click", () => { if ((page + 1) * size < order.length) { page += 1; draw(); } });
  $("export").addEventListener("click", () => {
    const quoted = (v) => {
      const text = v === null ? "" : String(v);
      // A leading sign of a formula, or a tab or return before one, would be run by a spreadsheet.
      const safe = typeof v === "string" && /^[=+\-@\t\r\n]/.test(text) ? "'" + text : text;
      return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    const lines = [columns.map((c) => quoted(c.unit ? `${c.key} (${c.unit})` : c.key)).join(",")];
    for (const row of order) lines.push(columns.map((c) => quoted(data[at[c.key]][row])).join(","));
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv;charset=utf-8" }));
    link.download = facts.csv_name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });

  // The figures.
  const drawn = Object.entries(figures).map(([id, figure]) =>
    Plotly.newPlot(id, figure.data, figure.layout, options));
  for (const id of ["components", "mass", "ratio", "top"]) {
    $(id).on("plotly_click", (event) => {
      const row = event.points[0].customdata;
      if (typeof row === "number") select(row);
    });
  }
  $("elements").on("plotly_click", (event) => filterBy({ elements: event.points[0].customdata }));
  $("histogram").on("plotly_click", (event) => {
    const range = event.points[0].customdata;
    if (range) filterBy({ low: range[0], high: range[1] });
  });
  update();
  if (n) select(0);
  Promise.all(drawn).then(() => { document.body.dataset.ready = "yes"; });
})();
