// Draws a panel with plotly: lines with a band up to the peaks, or areas one on top of the other.

const MARGIN = { l: 56, r: 14, t: 8, b: 26 };

function themeColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The colours of the theme in use. */
function palette() {
  const named = (name) => themeColour(`--${name}`);
  return {
    curves: Array.from({ length: 12 }, (_, index) => named(`curve-${index}`)),
    other: named("other"), text: named("muted"), grid: named("grid"), limit: named("limit"),
    warning: named("warning"), critical: named("critical"),
  };
}

const ownColours = new Map();

/** What occurs in several panels of a group, such as a process, has one colour in all of them. */
function curveColour(colours, panel, index) {
  const label = panel.labels[index];
  if (index === panel.total) return colours.text;
  if (label === "other") return colours.other;
  if (panel.group === "Interfaces") return colours.curves[index];
  if (!ownColours.has(panel.group)) ownColours.set(panel.group, new Map());
  const known = ownColours.get(panel.group);
  if (!known.has(label)) known.set(label, known.size);
  return colours.curves[known.get(label) % colours.curves.length];
}

/** Several limits have the colours of the curves that they are for. */
function limitColour(colours, panel, index) {
  return panel.limits.length > 1 ? colours.curves[index] : colours.limit;
}

function faded(colour, share) {
  const [red, green, blue] = [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
  return `rgba(${red},${green},${blue},${share})`;
}

/** The area between two curves as polygons, one for each run of known values. */
function area(middle, first, last, low, high) {
  const x = [], y = [];
  let run = [];
  const close = () => {
    if (run.length > 1) {
      for (const i of run) { x.push(middle(i)); y.push(high[i]); }
      for (const i of run.reverse()) { x.push(middle(i)); y.push(low[i]); }
      x.push(null);
      y.push(null);
    }
    run = [];
  };
  for (let i = first; i < last; i++) {
    if (Number.isNaN(low[i]) || Number.isNaN(high[i])) close(); else run.push(i);
  }
  close();
  return { x, y };
}

/** A curve as x and y; it has a gap where a value is unknown. */
function line(middle, first, last, values) {
  const x = [], y = [];
  for (let i = first; i < last; i++) {
    x.push(middle(i));
    y.push(Number.isNaN(values[i]) ? null : values[i]);
  }
  return { x, y };
}

/** The sum of two curves; unknown where `known` says that no check was made. */
function sumOf(below, values, known) {
  return below.map((value, i) => (known[i] ? value + (Number.isNaN(values[i]) ? 0 : values[i]) : NaN));
}

/** The steps of a limit inside the range, as a curve. */
function limitLine(limit, from, to) {
  const x = [], y = [];
  limit.steps.forEach(([at, value], index) => {
    const end = index + 1 < limit.steps.length ? limit.steps[index + 1][0] : Infinity;
    const begin = index === 0 ? -Infinity : at;
    if (end <= from || begin >= to) return;
    x.push(Math.max(begin, from), Math.min(end, to));
    y.push(value, value);
  });
  return { x, y };
}

function limitAt(limit, at) {
  let found = null;
  limit.steps.forEach(([begin, value], index) => { if (index === 0 || begin <= at) found = value; });
  return found;
}

/** What is drawn of a panel between two times: the traces and the highest value. */
function traces(view, panel, hidden, colours, width) {
  const { data, from, to } = view;
  const best = bestLevel(data, panel, from, to, Infinity);
  if (best === null) return { level: null, drawn: [], top: 0 };
  const level = thinned(best, from, to, Math.max(width, 200));
  const [first, last] = slice(level, from, to);
  const half = level.p > data.interval ? level.p / 2 : 0;
  const middle = (i) => level.at[i] + half;
  const points = last - first;
  const drawn = [];
  let top = 0;
  const see = (values) => { for (let i = first; i < last; i++) if (values[i] > top) top = values[i]; };
  const common = { type: "scatter", hoverinfo: "skip", showlegend: false };
  const shown = panel.labels.map((label, index) => ({ label, index, curve: level.curves[index] }))
    .filter(({ curve, index }) => curve && !hidden.has(index))
    .map((each) => ({ ...each, colour: curveColour(colours, panel, each.index) }));
  if (panel.kind === "stack") {
    const parts = shown.filter(({ index }) => index !== panel.total);
    const known = level.at.map((_, i) => parts.some(({ curve }) => !Number.isNaN(curve.average[i])));
    let below = level.at.map((_, i) => (known[i] ? 0 : NaN));
    for (const { label, curve, colour } of parts) {
      const above = sumOf(below, curve.average, known);
      const shape = points < 3 ? line(middle, first, last, above) : area(middle, first, last, below, above);
      drawn.push({ ...common, ...shape, name: label, mode: points < 3 ? "markers" : "lines", marker: { color: colour, size: 8 },
        fill: points < 3 ? "none" : "toself", fillcolor: faded(colour, 0.75), line: { width: 0.5, color: colour } });
      below = above;
    }
    see(below);
    for (const { label, curve, colour } of shown.filter(({ index }) => index === panel.total)) {
      see(curve.highest);
      drawn.push({ ...common, ...line(middle, first, last, curve.highest), name: label, mode: "lines", line: { width: 0.9, color: colour } });
    }
    return { level, drawn, top };
  }
  for (const { label, curve, colour } of shown.filter(({ curve }) => curve.peaks)) {
    see(curve.highest);
    drawn.push({ ...common, ...area(middle, first, last, curve.average, curve.highest), name: `${label} peaks`, mode: "lines",
      fill: "toself", fillcolor: faded(colour, 0.24), line: { width: 0.8, color: faded(colour, 0.45) } });
  }
  for (const { label, curve, colour } of shown) {
    see(curve.average);
    drawn.push({ ...common, ...line(middle, first, last, curve.average), name: label,
      mode: points < 4 ? "lines+markers" : "lines", marker: { color: colour, size: 7 }, line: { width: 1.6, color: colour } });
  }
  return { level, drawn, top };
}

/** The bars of the alerts of this interface, behind its curves. */
function alertShapes(view, panel, colours) {
  if (panel.subject === "") return [];
  const shapes = [];
  for (const [begin, end, severity, , subject] of view.data.alerts) {
    const until = end ?? view.data.last;
    if (subject !== panel.subject || until < view.from || begin > view.to) continue;
    shapes.push({ type: "rect", layer: "below", xref: "x", yref: "paper", x0: begin, x1: until, y0: 0, y1: 1, line: { width: 0 },
      fillcolor: faded(severity === "CRITICAL" ? colours.critical : colours.warning, 0.16) });
  }
  return shapes.slice(-60);
}

/** Draw the panel for the range of the view. */
function drawPlot(view, plot) {
  const { panel, element, hidden } = plot;
  const colours = palette();
  const width = element.clientWidth - MARGIN.l - MARGIN.r;
  const { level, drawn, top: highest } = traces(view, panel, hidden, colours, width);
  plot.level = level;
  let top = highest;
  plot.far = [];
  panel.limits.forEach((limit, index) => {
    const curve = limitLine(limit, view.from, view.to);
    const values = curve.y.filter((value) => value !== null && value >= 0);
    if (!values.length) return;
    if (Math.min(...values) > 4 * highest) { plot.far.push(limit); return; }
    top = Math.max(top, ...values);
    drawn.push({ ...curve, type: "scatter", hoverinfo: "skip", showlegend: false, name: limit.label, mode: "lines",
      line: { width: 1.4, dash: index ? "dot" : "dash", color: limitColour(colours, panel, index) } });
  });
  const [tickvals, ticktext] = axisTicks(view.from, view.to, Math.max(2, width / 86));
  const axis = { fixedrange: false, zeroline: false, color: colours.text, gridcolor: colours.grid, linecolor: colours.grid };
  const layout = {
    autosize: true, separators: ".\u202f", margin: MARGIN, showlegend: false, hovermode: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: colours.text },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    xaxis: { ...axis, type: "linear", range: [view.from, view.to], tickmode: "array", tickvals, ticktext, ticks: "outside", tickcolor: colours.grid },
    yaxis: { ...axis, fixedrange: true, range: [0, top > 0 ? top * 1.08 : 1], nticks: 5, separatethousands: true, exponentformat: "none" },
    shapes: alertShapes(view, panel, colours),
  };
  Plotly.react(element, drawn, layout, { displayModeBar: false, doubleClick: false, responsive: false, scrollZoom: false });
}
