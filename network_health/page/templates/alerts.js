// The alerts: bars on the time axis of the plots, and the list with their culprits.

const MOST_LANES = 12;

/** The lanes: one for each subject and check, those with the newest alerts first. */
function lanes(alerts) {
  const found = new Map();
  alerts.forEach((alert, number) => {
    const title = alert[3];
    if (!found.has(title)) found.set(title, []);
    found.get(title).push(number);
  });
  return [...found].sort((a, b) => b[1][b[1].length - 1] - a[1][a[1].length - 1]);
}

/** Draw the bars of the shown range and show only its alerts in the list. */
function drawAlerts(view) {
  const { data, from, to } = view;
  const timeline = document.getElementById("timeline");
  const inRange = data.alerts.map(([begin, end]) => begin <= to && (end ?? data.last) >= from);
  const focused = document.activeElement?.dataset?.bar;
  const rows = [];
  const all = lanes(data.alerts).map(([title, members]) => [title, members.filter((number) => inRange[number])]).filter(([, members]) => members.length);
  for (const [title, members] of all.slice(0, MOST_LANES)) {
    const track = make("div", { className: "track" });
    for (const gap of view.gaps) {
      const mark = make("span", { className: "gap", title: `No checks for ${lasted(gap[1] - gap[0])}` });
      if (place(mark, gap[0], gap[1], view)) track.append(mark);
    }
    for (const number of members) track.append(makeBar(view, number));
    const seconds = members.reduce((sum, number) => sum + Math.min(data.alerts[number][1] ?? data.last, to) - Math.max(data.alerts[number][0], from), 0);
    const count = members.length === 1 ? "" : `${members.length} times, `;
    rows.push(make("div", { className: "lane" },
      make("p", {}, make("bdi", { textContent: title }), make("small", { textContent: ` ${count}${lasted(seconds)} in all` })), track));
  }
  if (all.length > MOST_LANES) rows.push(make("p", { className: "note", textContent: `${all.length - MOST_LANES} more kinds of alerts are in the list.` }));
  timeline.replaceChildren(...rows);
  timeline.hidden = rows.length === 0;
  const bars = [...timeline.querySelectorAll(".bar")];
  const current = bars.find((bar) => bar.dataset.bar === focused) ?? bars[0];
  if (current) current.tabIndex = 0;
  if (focused !== undefined) current?.focus();
  let count = 0;
  data.alerts.forEach((_, number) => {
    document.getElementById(`alert-${number}`).hidden = !inRange[number];
    count += inRange[number] ? 1 : 0;
  });
  document.getElementById("alert-count").textContent = count === data.alerts.length ? `${count}` : `${count} of ${data.alerts.length}`;
  document.getElementById("no-alerts").hidden = count > 0;
}

/** Set left and width by the time axis; false if it is outside of the range. */
function place(element, begin, end, view) {
  if (end < view.from || begin > view.to) return false;
  const share = (at) => (Math.min(Math.max(at, view.from), view.to) - view.from) / (view.to - view.from);
  element.style.left = `min(${share(begin) * 100}%, 100% - 4px)`;
  element.style.width = `${(share(end) - share(begin)) * 100}%`;
  return true;
}

function makeBar(view, number) {
  const [begin, end, severity, title, , sentence] = view.data.alerts[number];
  const bar = make("button", { type: "button", className: `bar ${severity.toLowerCase()}${end === null ? " active" : ""}`, tabIndex: -1 });
  bar.dataset.bar = number;
  const until = end === null ? "active" : `until ${dateTime.format(asDate(end))}, ${lasted(end - begin)}`;
  bar.title = `${title}\n${severity}, ${dateTime.format(asDate(begin))} ${until}\n${sentence}`;
  bar.setAttribute("aria-label", bar.title.replaceAll("\n", ", "));
  place(bar, begin, end ?? view.data.last, view);
  return bar;
}

/** Open the alert in the list and go there. */
function openAlert(number) {
  const details = document.getElementById(`alert-${number}`);
  details.open = true;
  details.scrollIntoView({ block: "nearest" });
  details.querySelector("summary").focus({ preventScroll: true });
}

function watchAlerts(view) {
  const timeline = document.getElementById("timeline");
  timeline.addEventListener("click", (event) => {
    const bar = event.target.closest(".bar");
    if (bar) openAlert(Number(bar.dataset.bar));
  });
  timeline.addEventListener("keydown", (event) => {
    const bars = [...timeline.querySelectorAll(".bar")];
    const index = bars.indexOf(event.target);
    const next = { ArrowRight: index + 1, ArrowDown: index + 1, ArrowLeft: index - 1, ArrowUp: index - 1, Home: 0, End: bars.length - 1 }[event.key];
    if (index < 0 || next === undefined) return;
    event.preventDefault();
    const bar = bars[Math.min(Math.max(next, 0), bars.length - 1)];
    bars.forEach((each) => { each.tabIndex = each === bar ? 0 : -1; });
    bar.focus();
  });
  document.getElementById("alert-list").addEventListener("click", (event) => {
    const button = event.target.closest(".show");
    if (!button) return;
    const [begin, end] = view.data.alerts[Number(button.dataset.alert)];
    const until = end ?? view.data.last;
    const side = Math.max((until - begin) * 0.75, 10 * MINUTE);
    view.show(begin - side, until + side);
  });
  for (const element of document.querySelectorAll("time[data-at]")) {
    element.textContent = dateTime.format(asDate(Number(element.dataset.at)));
  }
  for (const element of document.querySelectorAll("#alert-list .lasted")) {
    const { begin, end } = element.dataset;
    const seconds = lasted((end === "" ? view.data.last : Number(end)) - Number(begin));
    element.textContent = end === "" ? `active, ${seconds} so far` : seconds;
  }
}
