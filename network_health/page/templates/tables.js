// What a plot shows as text: the legend with its values, and the table behind the plot.

const MOST_ROWS = 200;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** The legend: one button for each curve, which shows and hides it; beside it its values. */
function makeLegend(view, plot) {
  const list = plot.section.querySelector(".legend");
  const { panel, hidden } = plot;
  const colours = palette();
  plot.readings = panel.labels.map((label, index) => {
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = curveColour(colours, panel, index);
    const reading = make("span", { className: "reading" });
    const button = make("button", { type: "button" }, swatch, make("bdi", { textContent: label }));
    button.setAttribute("aria-pressed", "true");
    button.title = "Show or hide";
    button.addEventListener("click", () => {
      if (hidden.has(index)) hidden.delete(index); else hidden.add(index);
      button.setAttribute("aria-pressed", String(!hidden.has(index)));
      view.redraw(plot);
    });
    const item = make("li", {}, button, reading);
    list.append(item);
    return { item, swatch, reading, index };
  });
  panel.limits.forEach((limit, index) => {
    if (!limit.steps.some(([, value]) => value !== null)) return;
    const reading = make("span", { className: "reading" });
    const swatch = make("span", { className: "swatch dashed" });
    list.append(make("li", { className: "limit" }, swatch, limit.label, reading));
    plot.readings.push({ limit, index, swatch, reading });
  });
  plot.moment = plot.section.querySelector(".moment");
}

/** Write the values at `at` into the legend; without a time average and highest value of the range. */
function writeLegend(view, plot, at) {
  const { level, panel } = plot;
  if (!level || !plot.readings) return;
  const colours = palette();
  const index = at === null ? -1 : nearest(level, at);
  const [first, last] = slice(level, view.from, view.to);
  plot.moment.textContent = at === null ? "" : index < 0 ? "no check" : periodText(view, level, index);
  for (const entry of plot.readings) {
    if (entry.limit) {
      const value = limitAt(entry.limit, at ?? view.to);
      entry.swatch.style.borderColor = limitColour(colours, panel, entry.index);
      entry.reading.textContent = value === null ? "off" : shortNumber(value) + (plot.far.includes(entry.limit) ? " (above this plot)" : "");
      continue;
    }
    const curve = level.curves[entry.index];
    entry.item.hidden = !curve;
    entry.swatch.style.background = curveColour(colours, panel, entry.index);
    if (!curve) continue;
    entry.reading.textContent = at === null ? rangeText(curve, first, last) : valueText(curve, index);
  }
  const list = plot.section.querySelector(".legend");
  list.style.minHeight = `${list.offsetHeight}px`;  // so that the plot does not move while values change
}

/** Say the values at a time, for a screen reader. */
function speak(plot) {
  const values = [...plot.section.querySelectorAll(".legend li:not([hidden])")].map((item) => item.textContent);
  document.getElementById("spoken").textContent = `${plot.moment.textContent}: ${values.join("; ")} ${plot.panel.unit}`;
}

function valueText(curve, index) {
  if (index < 0 || Number.isNaN(curve.average[index])) return "–";
  const average = shortNumber(curve.average[index]), highest = shortNumber(curve.highest[index]);
  return average === highest ? average : `${average}, max ${highest}`;
}

function rangeText(curve, first, last) {
  const mean = meanOf(curve.average, first, last);
  return Number.isNaN(mean) ? "–" : `avg ${shortNumber(mean)}, max ${shortNumber(highestOf(curve.highest, first, last))}`;
}

/** The index of the period at a time; -1 before the first one, and long after the last one. */
function nearest(level, at) {
  const index = lowerBound(level.at, at + 1e-6) - 1;
  return index === level.at.length - 1 && at > level.at[index] + 2 * level.p ? -1 : index;
}

function periodText(view, level, index) {
  const begin = level.at[index];
  if (level.p <= view.data.interval) return dateTimeSeconds.format(asDate(begin));
  const format = level.p >= DAY ? dateTime : level.p % MINUTE ? clockSeconds : clockTime;
  return `${dateTime.format(asDate(begin))} – ${format.format(asDate(begin + level.p))}`;
}

/** The table behind a plot: the values of the shown range, the newest first. */
function writeTable(view, plot) {
  const box = plot.section.querySelector(".values .scroll");
  const { panel } = plot;
  const level = bestLevel(view.data, panel, view.from, view.to, MOST_ROWS);
  if (!level) { box.replaceChildren(); return; }
  const first = lowerBound(level.at, view.from), last = lowerBound(level.at, view.to + 1e-6);
  const shown = Math.max(first, last - MOST_ROWS);
  const columns = [];
  panel.labels.forEach((label, index) => {
    const curve = level.curves[index];
    if (!curve) return;
    const several = curve.highest !== curve.average || curve.p95 !== curve.average;
    columns.push([several ? `${label} average` : label, curve.average]);
    if (curve.p95 !== curve.average) columns.push([`${label} 95 %`, curve.p95]);
    if (curve.highest !== curve.average) columns.push([`${label} highest`, curve.highest]);
  });
  for (const limit of panel.limits) {
    if (limit.steps.some(([, value]) => value !== null)) columns.push([limit.label, { limit }]);
  }
  const head = make("tr", {}, make("th", { scope: "col", textContent: "Time" }));
  for (const [title] of columns) head.append(make("th", { scope: "col" }, make("bdi", { textContent: `${title}` }), ` (${panel.unit})`));
  const body = make("tbody");
  for (let i = last - 1; i >= shown; i--) {
    const row = make("tr", {}, make("th", { scope: "row", textContent: periodText(view, level, i) }));
    for (const [, values] of columns) {
      const value = values.limit ? limitAt(values.limit, level.at[i]) : values[i];
      row.append(make("td", { textContent: value === null || Number.isNaN(value) ? "unknown" : shortNumber(value) }));
    }
    body.append(row);
  }
  const caption = shown > first
    ? `The newest ${last - shown} of ${last - first} periods in this range; zoom in for others`
    : `${last - first} periods of ${lasted(level.p)}`;
  box.replaceChildren(make("table", {}, make("caption", { textContent: caption }), make("thead", {}, head), body));
}
