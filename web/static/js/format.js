/** Numbers, sizes, times and names as people read them. */

const COUNT = new Intl.NumberFormat("en");
const ONE_DECIMAL = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const LOCAL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const RANGE_UNITS = [
  { belowS: 100, unitS: 1, step: 5, unit: "s" },
  { belowS: 100 * 60, unitS: 60, step: 1, unit: "min" },
  { belowS: 48 * 3600, unitS: 3600, step: 1, unit: "h" },
  { belowS: Infinity, unitS: 86400, step: 1, unit: "days" },
];
const UNITS = ["bytes", "KB", "MB", "GB", "TB", "PB"];

/** @param {number} number @returns {string} "12,345" */
export function count(number) {
  return COUNT.format(number);
}

/** @param {number} number @param {string} one @param {string} [many] @returns {string} "1 file", "12 files" */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** @param {number} bytes @returns {string} "312 bytes", "4.2 MB" (a MB is a million bytes, as on a disk's box) */
export function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? ONE_DECIMAL.format(value) : COUNT.format(Math.round(value))} ${UNITS[unit]}`;
}

/** @param {number} part 0 to 1 @returns {string} "42%"; never 100% before the end */
export function percent(part) {
  return `${Math.floor(Math.min(part, 1) * 100)}%`;
}

/** @param {number} seconds @returns {string} "a few seconds", "about 40 seconds", "about 3 hours" */
export function duration(seconds) {
  if (seconds < 8) {
    return "a few seconds";
  }
  if (seconds < 55) {
    return `about ${Math.ceil(seconds / 5) * 5} seconds`;
  }
  if (seconds < 55 * 60) {
    return `about ${plural(Math.max(1, Math.round(seconds / 60)), "minute")}`;
  }
  if (seconds < 36 * 3600) {
    return `about ${plural(Math.max(1, Math.round(seconds / 3600)), "hour")}`;
  }
  return `about ${plural(Math.round(seconds / 86400), "day")}`;
}

/**
 * A time that lies between two bounds.
 * @param {number} lowS seconds
 * @param {number} highS
 * @returns {string} "4 to 6 min", "20 to 30 s"; as `duration` has it when both round to the same
 */
export function durationRange(lowS, highS) {
  const { unitS, step, unit } = RANGE_UNITS.find(({ belowS }) => highS < belowS);
  const [low, high] = [lowS, highS].map((seconds) => Math.round(seconds / unitS / step) * step);
  if (low === high || highS < 8) {
    return duration((lowS + highS) / 2);
  }
  return low === 0 ? `up to ${count(high)} ${unit}` : `${count(low)} to ${count(high)} ${unit}`;
}

/** @param {string} from ISO 8601 @param {string} to ISO 8601 @returns {string} "4 s", "12 min", "3 h 5 min" */
export function elapsed(from, to) {
  const seconds = Math.max(1, Math.round((new Date(to) - new Date(from)) / 1000));
  if (seconds < 120) {
    return `${seconds} s`;
  }
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${count(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

/** @param {number} perSecond photographs @returns {string} "2.4 a second", "18 a minute" */
export function rate(perSecond) {
  if (perSecond >= 1) {
    return `${ONE_DECIMAL.format(perSecond)} a second`;
  }
  return perSecond * 60 >= 1
    ? `${ONE_DECIMAL.format(perSecond * 60)} a minute`
    : `${ONE_DECIMAL.format(perSecond * 3600)} an hour`;
}

/** @param {string} iso a moment, ISO 8601 @returns {string} in the reader's time zone; the text itself if it is no date */
export function moment(iso) {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? iso : DATE.format(at);
}

/** @param {string} iso a moment, ISO 8601 @returns {string} to the second, in the reader's time zone and locale */
export function localMoment(iso) {
  return LOCAL.format(new Date(iso));
}

/** @param {string} path @returns {string} its last part */
export function baseName(path) {
  return path.slice(path.lastIndexOf("/") + 1) || path;
}
