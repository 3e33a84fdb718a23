// Times and numbers as text, and the marks of the time axis, in the time zone of the browser.

const MINUTE = 60, HOUR = 3600, DAY = 86400;

const dateTime = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
const dateTimeSeconds = new Intl.DateTimeFormat(undefined, {
  month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const clockTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockSeconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayName = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric" });
const monthDay = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const monthName = new Intl.DateTimeFormat(undefined, { month: "short", year: "numeric" });

function asDate(at) { return new Date(at * 1000); }

/** "2 h 5 min": two units at most. */
function lasted(seconds) {
  const units = [["d", DAY], ["h", HOUR], ["min", MINUTE], ["s", 1]];
  let rest = Math.round(seconds);
  const start = units.findIndex(([, size]) => rest >= size);
  if (start < 0) return "0 s";
  return units.slice(start, start + 2).map(([name, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count ? `${count} ${name}` : "";
  }).filter(Boolean).join(" ");
}

/** Three digits, and no more zeros than needed. */
function shortNumber(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString("en", { maximumFractionDigits: size > 0 && size < 0.1 ? 4 : digits }).replaceAll(",", "\u202f");
}

const DAY_STEPS = [[1, DAY], [2, 2 * DAY], [7, 7 * DAY]];
const TIME_STEPS = [10, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR];

/** The marks of the axis: whole hours, days or months of the local time, also where the clock is changed. */
function axisTicks(from, to, most) {
  const wanted = (to - from) / most;
  const step = TIME_STEPS.find((each) => each >= wanted);
  const at = [], text = [];
  const date = asDate(from);
  if (step !== undefined) {
    date.setMilliseconds(0);
    if (step < HOUR) {
      for (let t = Math.ceil(from / step) * step; t <= to; t += step) at.push(t);
    } else {
      date.setMinutes(0, 0, 0);
      for (let t = date.getTime() / 1000; t <= to; t += HOUR) {
        if (t >= from && asDate(t).getHours() % (step / HOUR) === 0 && asDate(t).getMinutes() === 0) at.push(t);
      }
    }
    const format = step < MINUTE ? clockSeconds : clockTime;
    let day = null;
    for (const each of at) {
      const now = asDate(each);
      const isNew = day !== null && now.getDate() !== day || day === null && now.getHours() === 0 && now.getMinutes() === 0;
      text.push(isNew ? dayName.format(now) : format.format(now));
      day = now.getDate();
    }
    return [at, text];
  }
  date.setHours(0, 0, 0, 0);
  const days = DAY_STEPS.find(([, size]) => size >= wanted);
  if (days !== undefined) {
    for (; date.getTime() / 1000 <= to; date.setDate(date.getDate() + days[0])) {
      if (date.getTime() / 1000 >= from) { at.push(date.getTime() / 1000); text.push(monthDay.format(date)); }
    }
    return [at, text];
  }
  const months = [1, 2, 3, 6, 12].find((count) => count * 30 * DAY >= wanted) ?? 24;
  for (date.setDate(1); date.getTime() / 1000 <= to; date.setMonth(date.getMonth() + months)) {
    if (date.getTime() / 1000 >= from) { at.push(date.getTime() / 1000); text.push(monthName.format(date)); }
  }
  return [at, text];
}
