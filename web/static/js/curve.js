/** Curves over the steps of a run: small SVG charts that draw on while one watches. */

import { element, setText } from "./dom.js";
import { count } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 200;
const MARGIN = { top: 22, right: 12, bottom: 24, left: 46 };
const PIXELS_PER_BUCKET = 3;
const PIXELS_PER_TICK = { x: 90, y: 42 };

/**
 * A chart of some of the numbers that a run writes down at its steps.
 * @typedef {{key: string, name: string}} Series
 */
export class Chart {
  /**
   * @param {{title: string, says: string, series: Series[], format: (value: number) => string, fromZero?: boolean, isShare?: boolean}} what
   *   `says` is one sentence on how to read it; a share is a number from 0 to 1
   */
  constructor({ title, says, series, format, fromZero = false, isShare = false }) {
    this.what = { title, series, format, fromZero, isShare };
    this.points = [];
    this.lastStep = 1;
    this.values = element("p", { class: "chart-values" });
    this.svg = make("svg", { role: "img", height: HEIGHT });
    this.element = element(
      "figure",
      { class: "chart" },
      element("figcaption", {}, element("h3", {}, title), element("p", { class: "hint" }, says), this.values),
      this.svg,
    );
    this.svg.addEventListener("pointermove", (event) => this.#point(event));
    this.svg.addEventListener("pointerleave", () => this.#tell(null));
    new ResizeObserver(() => this.#draw()).observe(this.svg);
  }

  /**
   * @param {object[]} points each with its `step`
   * @param {number} stepsTotal
   * @returns {boolean} whether there is anything to draw
   */
  show(points, stepsTotal) {
    this.points = points;
    this.lastStep = Math.max(stepsTotal, points.at(-1)?.step ?? 0, 1);
    this.lines = this.what.series.map(({ key }) => lineOf(points, key));
    this.element.hidden = this.lines.every((line) => line.length === 0);
    if (!this.element.hidden) {
      this.#draw();
      this.#tell(null);
      this.svg.setAttribute("aria-label", this.#summary());
    }
    return !this.element.hidden;
  }

  #draw() {
    const { width } = this.svg.getBoundingClientRect();
    if (width === 0 || this.points.length === 0) {
      return;
    }
    const buckets = Math.max(1, Math.floor((width - MARGIN.left - MARGIN.right) / PIXELS_PER_BUCKET));
    const lines = this.lines.map((line) => thin(line, buckets));
    const values = lines.flat().map(([, value]) => value);
    const yTicks = ticks(this.what.fromZero ? 0 : Math.min(...values), Math.max(...values), Math.floor(HEIGHT / PIXELS_PER_TICK.y));
    const x = scale(0, this.lastStep, MARGIN.left, width - MARGIN.right);
    const y = scale(yTicks[0], yTicks.at(-1), HEIGHT - MARGIN.bottom, MARGIN.top);
    this.x = x;
    this.cross = make("line", { class: "chart-cross", y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, visibility: "hidden" });
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.replaceChildren(
      ...tickTexts(yTicks, this.what.isShare).flatMap((text, index) => horizontal(y(yTicks[index]), width, text)),
      ...stages(this.points).flatMap(([step, size]) => boundary(x(step), size)),
      ...ticks(0, this.lastStep, Math.floor(width / PIXELS_PER_TICK.x))
        .filter((step) => step <= this.lastStep)
        .map((step) => below(x(step), step === 0 ? "step 0" : count(step), width)),
      ...lines.flatMap((line, index) => drawn(line, x, y, index)),
      this.cross,
    );
  }

  #point(event) {
    if (!this.x) {
      return;
    }
    const step = this.x.inverse(event.clientX - this.svg.getBoundingClientRect().left);
    const steps = this.lines.flat().map(([measuredAt]) => measuredAt);
    this.#tell(steps.reduce((best, other) => (Math.abs(other - step) < Math.abs(best - step) ? other : best)));
  }

  /** Show the values at or just before a step, or the newest ones. */
  #tell(step) {
    const parts = this.what.series.flatMap(({ name }, index) => {
      const line = this.lines?.[index] ?? [];
      const at = step === null ? line.at(-1) : line.findLast(([other]) => other <= step);
      return at ? [element("span", { class: `chart-value series-${index}` }, `${name} ${this.what.format(at[1])}`)] : [];
    });
    this.values.replaceChildren(...parts, element("span", { class: "chart-at" }, step === null ? "" : `at step ${count(step)}`));
    if (this.cross) {
      this.cross.setAttribute("visibility", step === null ? "hidden" : "visible");
      this.cross.setAttribute("x1", this.x(step ?? 0));
      this.cross.setAttribute("x2", this.x(step ?? 0));
    }
  }

  #summary() {
    const { title, series, format } = this.what;
    const words = series.flatMap(({ name }, index) => {
      const [first, last] = [this.lines[index][0], this.lines[index].at(-1)];
      const ends = first === last ? [first] : [first, last];
      return first ? [`${name}: ${ends.map(([step, value]) => `${format(value)} at step ${count(step)}`).join(", ")}`] : [];
    });
    return `${title}. ${words.join("; ")}.`;
  }
}

/**
 * The same numbers for whoever reads rather than looks.
 * @param {HTMLElement} into
 * @param {object[]} points
 * @param {(Series & {format: (value: number) => string})[]} series
 * @param {number} most rows; more points are thinned out evenly
 */
export function showTable(into, points, series, most) {
  const used = series.filter(({ key }) => points.some((point) => Number.isFinite(point[key])));
  const every = Math.max(1, Math.ceil(points.length / most));
  const rows = points.filter((point, index) => index % every === 0 || index === points.length - 1);
  const heads = ["Step", ...used.map(({ name }) => name)].map((name) => element("th", { scope: "col" }, name));
  const body = rows.map((point) => {
    const cells = used.map(({ key, format }) => cell(point[key], format));
    return element("tr", {}, element("th", { scope: "row" }, count(point.step)), ...cells);
  });
  const note = every > 1 ? [element("p", { class: "hint" }, `One of every ${every} measurements.`)] : [];
  const head = element("thead", {}, element("tr", {}, ...heads));
  const table = element("table", { class: "numbers" }, head, element("tbody", {}, ...body));
  const frame = { class: "table-frame", tabindex: "0", role: "group", "aria-label": "Measurements" };
  into.replaceChildren(...note, element("div", frame, table));
}

/**
 * Round values that cover a range.
 * @param {number} low
 * @param {number} high
 * @param {number} most how many there may be, about
 * @returns {number[]} ascending; the first is at most `low`, the last at least `high`
 */
export function ticks(low, high, most) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / Math.max(1, most - 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const [first, last] = [Math.floor(low / step), Math.max(Math.ceil(high / step), Math.floor(low / step) + 1)];
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

function lineOf(points, key) {
  return points.filter((point) => Number.isFinite(point[key])).map((point) => [point.step, point[key]]);
}

function cell(value, format) {
  return element("td", {}, Number.isFinite(value) ? format(value) : "");
}

function make(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, String(value)));
  setText(made, text);
  return made;
}

function scale(from, to, start, end) {
  const place = (value) => start + ((value - from) / (to - from)) * (end - start);
  place.inverse = (at) => from + ((at - start) / (end - start)) * (to - from);
  return place;
}

/** Means over equal parts of a line, so that thousands of points stay one clear stroke. */
function thin(line, most) {
  const size = Math.ceil(line.length / most);
  const parts = Array.from({ length: Math.ceil(line.length / size) || 0 }, (_, index) => line.slice(index * size, (index + 1) * size));
  return parts.map((part) => [part.at(-1)[0], part.reduce((sum, [, value]) => sum + value, 0) / part.length]);
}

function drawn(line, x, y, index) {
  if (line.length === 0) {
    return [];
  }
  const places = line.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`);
  const [step, value] = line.at(-1);
  const end = make("circle", { class: `chart-end series-${index}`, cx: x(step), cy: y(value), r: 3 });
  return [make("polyline", { class: `chart-line series-${index}`, points: places.join(" ") }), end];
}

function horizontal(at, width, text) {
  return [
    make("line", { class: "chart-grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at }),
    make("text", { class: "chart-tick", x: MARGIN.left - 8, y: at + 4, "text-anchor": "end" }, text),
  ];
}

function below(at, text, width) {
  const anchor = at > width - MARGIN.right - text.length * 4 ? "end" : "middle";
  const x = anchor === "end" ? width - 1 : at;
  return make("text", { class: "chart-tick", x, y: HEIGHT - 6, "text-anchor": anchor }, text);
}

/** As many digits for each as the finest of them needs. */
function tickTexts(values, isShare) {
  const digits = Math.max(...values.map((value) => String(value).split(".")[1]?.length ?? 0));
  return values.map((value) => (isShare ? `${Math.round(value * 100)}%` : value.toFixed(digits)));
}

function boundary(at, size) {
  return [
    make("line", { class: "chart-stage", x1: at, x2: at, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
    make("text", { class: "chart-tick", x: at, y: MARGIN.top - 8, "text-anchor": "middle" }, `${size} px`),
  ];
}

/** Where the pictures became larger: [step, edge in pixels]. */
function stages(points) {
  const sized = points.filter((point) => point.size_px);
  return sized.flatMap((point, index) => (index > 0 && point.size_px !== sized[index - 1].size_px ? [[point.step, point.size_px]] : []));
}
