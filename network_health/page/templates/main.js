// The range that all plots show, and what changes it: buttons, dragging, the keyboard.

const SHORTEST = 5 * MINUTE;
const KEY_MOVES = { "+": "in", "=": "in", "-": "out" };

class View {
  constructor(data) {
    this.data = data;
    this.first = data.first;
    this.last = data.last + data.interval;
    this.plots = [];
    this.before = [];
    this.gaps = findGaps(data);
    this.at = null;
    this.watch = new IntersectionObserver((entries) => this.seen(entries), { rootMargin: "200px" });
    const span = Math.min(DAY, Math.max(this.last - this.first, SHORTEST));
    [this.from, this.to] = [this.last - span, this.last];
  }

  /** Show another range in all plots: in those that can be seen at once, in the others when they are seen. */
  show(from, to, remember = true) {
    const whole = Math.max(this.last - this.first, SHORTEST);
    const span = Math.min(Math.max(to - from, SHORTEST), whole);
    const middle = Math.min(Math.max((from + to) / 2, this.last - whole + span / 2), this.last - span / 2);
    if (remember) this.before.push([this.from, this.to]);
    [this.from, this.to] = [middle - span / 2, middle + span / 2];
    this.update();
  }

  back() {
    const range = this.before.pop();
    if (range) this.show(...range, false);
  }

  move(how) {
    const span = this.to - this.from, middle = (this.from + this.to) / 2;
    if (how === "earlier") this.show(this.from - span / 2, this.to - span / 2);
    if (how === "later") this.show(this.from + span / 2, this.to + span / 2);
    if (how === "in") this.show(middle - span / 4, middle + span / 4);
    if (how === "out") this.show(middle - span, middle + span);
    if (how === "back") this.back();
  }

  update() {
    const span = this.to - this.from;
    document.getElementById("range").textContent = `${dateTime.format(asDate(this.from))} – ${dateTime.format(asDate(this.to))} · ${lasted(span)}`;
    for (const button of document.querySelectorAll("[data-span]")) {
      const wanted = Number(button.dataset.span);
      const shown = wanted === 0 ? this.from <= this.first && this.to >= this.last : Math.abs(span - wanted) < 1 && this.to >= this.last - 1;
      button.setAttribute("aria-pressed", String(shown));
    }
    document.querySelector('[data-move="back"]').disabled = this.before.length === 0;
    drawAlerts(this);
    for (const plot of this.plots) plot.stale = true;
    this.drawVisible();
  }

  drawVisible() {
    for (const plot of this.plots) if (plot.visible && plot.stale) this.redraw(plot);
  }

  redraw(plot) {
    plot.stale = false;
    if (!plot.readings) makeLegend(this, plot);
    drawPlot(this, plot);
    if (!plot.ready) this.listen(plot);
    this.read(plot);
    if (plot.table.open) writeTable(this, plot);
    const nothing = !plot.level || slice(plot.level, this.from, this.to)[1] - slice(plot.level, this.from, this.to)[0] === 0;
    plot.note.hidden = !nothing;
    plot.note.textContent = nothing ? "No check in this range." : "";
  }

  seen(entries) {
    for (const entry of entries) {
      const plot = this.plots.find((each) => each.element === entry.target);
      plot.visible = entry.isIntersecting;
    }
    this.drawVisible();
  }

  /** Show the values at a time in all legends, with a line in all plots; none without a time. */
  point(at) {
    this.at = at;
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = null;
      this.readAll();
    });
  }

  readAll() {
    for (const plot of this.plots) if (plot.visible && plot.ready) this.read(plot);
  }

  read(plot) {
    writeLegend(this, plot, this.at);
    const outside = this.at === null || this.at < this.from || this.at > this.to;
    plot.cursor.hidden = outside;
    if (outside) return;
    const width = plot.element.clientWidth - MARGIN.l - MARGIN.r;
    plot.cursor.style.left = `${MARGIN.l + ((this.at - this.from) / (this.to - this.from)) * width}px`;
  }

  timeAt(plot, clientX) {
    const box = plot.element.getBoundingClientRect();
    const share = (clientX - box.left - MARGIN.l) / (box.width - MARGIN.l - MARGIN.r);
    return share < 0 || share > 1 ? null : this.from + share * (this.to - this.from);
  }

  add(section) {
    const plot = {
      section, panel: this.data.panels[Number(section.dataset.panel)], element: section.querySelector(".plot"),
      table: section.querySelector(".values"), note: section.querySelector(".note"), hidden: new Set(), far: [],
      cursor: make("div", { className: "cursor", hidden: true }), stale: true, visible: false,
    };
    this.plots.push(plot);
    this.watch.observe(plot.element);
    plot.table.addEventListener("toggle", () => { if (plot.table.open) writeTable(this, plot); });
  }

  listen(plot) {
    plot.ready = true;
    const { element } = plot;
    element.append(plot.cursor);
    element.on("plotly_relayout", (change) => {
      const from = change["xaxis.range[0]"], to = change["xaxis.range[1]"];
      if (from === undefined || to === undefined) return;
      element.focus({ preventScroll: true });  // so that Escape goes back
      this.show(from, to);
    });
    element.on("plotly_doubleclick", () => this.back());
    element.addEventListener("pointermove", (event) => this.point(this.timeAt(plot, event.clientX)));
    element.addEventListener("pointerdown", (event) => this.point(this.timeAt(plot, event.clientX)));
    element.addEventListener("pointerleave", () => this.point(null));
    element.addEventListener("blur", () => this.point(null));
    element.addEventListener("keydown", (event) => this.key(plot, event));
  }

  key(plot, event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const side = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (side && event.shiftKey) this.move(side < 0 ? "earlier" : "later");
    else if (side) this.step(plot, side);
    else if (KEY_MOVES[event.key]) this.move(KEY_MOVES[event.key]);
    else return;
    event.preventDefault();
  }

  /** Point at the next or the previous period. */
  step(plot, side) {
    const { level } = plot;
    if (!level) return;
    const [first, last] = slice(level, this.from, this.to);
    const many = Math.max(1, Math.round((last - first) / 120));
    const index = this.at === null ? last - 1 : lowerBound(level.at, this.at + 1e-6) - 1 + side * many;
    const at = level.at[Math.min(Math.max(index, first), last - 1)];
    this.at = Math.min(Math.max(at, this.from), this.to);
    this.readAll();
    speak(plot);
  }
}

/** The times without checks, each from the finest resolution that has it: [from, until, whether only about]. */
function findGaps(data) {
  const panel = data.panels.find((each) => each.title === "Duration of a check");
  const gaps = [];
  let covered = Infinity;
  for (let index = 0; panel && index < panel.levels.length; index++) {
    const level = resolution(data, panel, index);
    if (level === null || level.at.length === 0) continue;
    const { average } = level.curves[0];
    for (let i = 0; i + 1 < level.at.length && level.at[i] < covered; i++) {
      if (Number.isNaN(average[i])) gaps.push([level.at[i], level.at[i + 1], level.p > data.interval]);
    }
    covered = level.at[0];
  }
  return gaps;
}

function watchTheme(view) {
  const names = ["auto", "light", "dark"];
  const button = document.getElementById("theme");
  const redraw = () => { for (const plot of view.plots) plot.stale = true; view.drawVisible(); };
  button.addEventListener("click", () => {
    const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % names.length];
    document.documentElement.dataset.theme = next;
    button.querySelector("span").textContent = next[0].toUpperCase() + next.slice(1);
    button.setAttribute("aria-label", next === "auto" ? "Colours: as the system says" : `Colours: ${next}`);
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

function watchControls(view) {
  for (const button of document.querySelectorAll("[data-span]")) {
    button.addEventListener("click", () => {
      const span = Number(button.dataset.span) || view.last - view.first;
      view.show(view.last - span, view.last);
    });
  }
  for (const button of document.querySelectorAll("[data-move]")) {
    button.addEventListener("click", () => view.move(button.dataset.move));
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape") view.back(); });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    for (const plot of view.plots) {
      plot.stale = true;
      plot.section.querySelector(".legend").style.minHeight = "";
    }
    view.drawVisible();
  });
  addEventListener("beforeprint", () => { for (const plot of view.plots) if (plot.stale) view.redraw(plot); });
}

function describe(view) {
  const { data } = view;
  const total = view.gaps.reduce((sum, [from, until]) => sum + until - from, 0);
  const gaps = view.gaps.length ? ` · ${view.gaps.length === 1 ? "one gap" : `${view.gaps.length} gaps`}, ${view.gaps.some(([, , about]) => about) ? "about " : ""}${lasted(total)} without checks` : "";
  document.getElementById("kept").textContent =
    `${dateTime.format(asDate(data.first))} – ${dateTime.format(asDate(data.last))} · ${lasted(data.last - data.first)} kept · a check every ${lasted(data.interval)}${gaps}`;
  document.getElementById("zone").textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
}

async function start() {
  const data = JSON.parse(await unpacked("data"));
  const view = new View(data);
  describe(view);
  watchAlerts(view);
  watchControls(view);
  watchTheme(view);
  view.update();
  const library = make("script", { textContent: await unpacked("library") });
  document.head.append(library);
  for (const section of document.querySelectorAll(".panel")) view.add(section);
  document.documentElement.dataset.ready = "true";
}

start().catch((error) => {
  const trouble = document.getElementById("trouble");
  trouble.hidden = false;
  trouble.textContent = typeof DecompressionStream === "undefined"
    ? "The plots need a newer browser: Chrome 80, Firefox 113 or Safari 16.4."
    : `The plots cannot be drawn: ${error.message}`;
  throw error;
});
