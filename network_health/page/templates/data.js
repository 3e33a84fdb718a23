"use strict";
// The page's data: compressed text in the page, read when it is drawn.

/** The text of the element, which holds it compressed. */
async function unpacked(id) {
  const element = document.getElementById(id);
  const packed = atob(element.textContent);
  element.remove();
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

/** Comma separated numbers; an empty one is unknown: NaN. */
function numbers(text) {
  return Float64Array.from(text.split(","), (part) => (part === "" ? NaN : Number(part)));
}

/** The sums of the differences. */
function times(text) {
  const found = text === "" ? new Float64Array() : numbers(text);
  for (let i = 1; i < found.length; i++) found[i] += found[i - 1];
  return found;
}

/** The first index whose value is not below `value`, in ascending values. */
function lowerBound(values, value) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}

/** One resolution of a panel: times, period, curves with average, highest and p95; read once. */
function resolution(data, panel, index) {
  const level = panel.levels[index];
  if (level === null) return null;
  if (!level.at) {
    level.at = typeof data.times[level.t] === "string" ? (data.times[level.t] = times(data.times[level.t])) : data.times[level.t];
    level.curves = level.c.map((curve) => {
      if (curve === null) return null;
      const average = numbers(curve[0]);
      return {
        average,
        highest: curve[1] === "" ? average : numbers(curve[1]),
        p95: curve[2] === "" ? average : numbers(curve[2]),
        peaks: curve[1] !== "",
      };
    });
  }
  return level;
}

/** The finest resolution that covers the range; `most` bounds its number of values in the range. */
function bestLevel(data, panel, from, to, most) {
  let coarsest = null;
  for (let index = 0; index < panel.levels.length; index++) {
    const level = resolution(data, panel, index);
    if (level === null || level.at.length === 0) continue;
    coarsest = level;
    const covers = index === panel.levels.length - 1 || level.at[0] <= from + level.p;
    const first = lowerBound(level.at, from), last = lowerBound(level.at, to);
    if (covers && last - first <= most) return level;
  }
  return coarsest;
}

/** A level of at most about `most` values between two times: several periods become one. */
function thinned(level, from, to, most) {
  const [first, last] = slice(level, from, to);
  const many = Math.ceil((last - first) / most);
  if (many <= 1) return level;
  const starts = [];
  let begin = -1;
  for (let i = first - (first % many); i < last; i++) {
    const isGap = level.curves.every((curve) => !curve || Number.isNaN(curve.average[i]));
    if (isGap || begin < 0 || i % many === 0) starts.push(i);
    begin = isGap ? -1 : i;
  }
  const ends = [...starts.slice(1), last];
  const curves = level.curves.map((curve) => curve && {
    ...curve,
    average: Float64Array.from(starts, (start, n) => meanOf(curve.average, start, ends[n])),
    highest: Float64Array.from(starts, (start, n) => highestOf(curve.highest, start, ends[n])),
    peaks: true,
  });
  return { at: Float64Array.from(starts, (start) => level.at[start]), p: level.p * many, curves };
}

/** The mean of the known values; unknown if there are none. */
function meanOf(values, first, last) {
  let sum = 0, count = 0;
  for (let i = first; i < last; i++) if (!Number.isNaN(values[i])) { sum += values[i]; count++; }
  return count ? sum / count : NaN;
}

function highestOf(values, first, last) {
  let highest = NaN;
  for (let i = first; i < last; i++) if (!(highest >= values[i]) && !Number.isNaN(values[i])) highest = values[i];
  return highest;
}

/** The part of a level between two times with one value more at either side. */
function slice(level, from, to) {
  const first = Math.max(0, lowerBound(level.at, from) - 1);
  const last = Math.min(level.at.length, lowerBound(level.at, to) + 1);
  return [first, last];
}
