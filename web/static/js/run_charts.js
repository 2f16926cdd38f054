/** The charts of a training run: losses, what it is like on photographs it has not seen, and the device's use. */

import { Chart, showTable } from "./curve.js";
import { percent, size } from "./format.js";

const MOST_ROWS = 200;
const CHARTS = [
  {
    title: "Error of color on its own photographs",
    says: "Falls while it learns. L1: how far each pixel’s color is from the true one, strong colors counting more.",
    series: [{ key: "l1", name: "L1" }],
    format: (value) => value.toPrecision(3),
  },
  {
    title: "Color difference on photographs kept back",
    says: "ΔE00 from the true colors; lower is better. Gray is not far off here, so look at colorfulness too.",
    series: [{ key: "val_de00", name: "ΔE00" }],
    format: (value) => value.toFixed(2),
  },
  {
    title: "Colorfulness on photographs kept back",
    says: "Error: how far each picture is from being as colorful as it was. Lower is better.",
    series: [
      { key: "val_cf_error", name: "Error", column: "Error of colorfulness" },
      { key: "val_cf", name: "Colorfulness" },
      { key: "val_cf_truth", name: "of the true colors", column: "Colorfulness of the true colors" },
    ],
    format: (value) => value.toFixed(1),
    fromZero: true,
  },
  {
    title: "The contest of the second stage",
    says: "The critic learns to tell machine colors from true ones, the model to deceive it. Neither should fall to zero for long.",
    series: [
      { key: "gan_g", name: "Model", column: "Adversarial loss, model" },
      { key: "gan_d", name: "Critic", column: "Adversarial loss, critic" },
    ],
    format: (value) => value.toPrecision(3),
    fromZero: true,
  },
  {
    title: "Use of the device",
    says: "How busy it is, and how much of its time it waits for photographs.",
    series: [
      { key: "device_use", name: "Busy", column: "Device busy" },
      { key: "wait_share", name: "Waiting", column: "Waiting for photographs" },
    ],
    format: (value) => percent(Math.max(0, value)),
    fromZero: true,
    isShare: true,
  },
];
const MORE_COLUMNS = [
  { key: "loss", name: "Loss", format: (value) => value.toPrecision(3) },
  { key: "val_dcf", name: "dCF", format: (value) => value.toFixed(1) },
  { key: "lr", name: "Learning rate", format: (value) => value.toExponential(1) },
  { key: "size_px", name: "Pixels", format: String },
  { key: "batch_size", name: "Batch", format: String },
  { key: "images_per_s", name: "Photographs a second", format: (value) => value.toFixed(1) },
  { key: "memory_bytes", name: "Memory", format: size },
];

/** All charts of a run and the table beside them. */
export class RunCharts {
  /**
   * @param {HTMLElement} container
   * @param {HTMLDetailsElement} details where the same numbers stand as a table; filled only while it is open
   */
  constructor(container, details) {
    this.charts = CHARTS.map((what) => new Chart(what));
    container.append(...this.charts.map((chart) => chart.element));
    this.details = details;
    this.table = document.createElement("div");
    details.append(this.table);
    details.addEventListener("toggle", () => this.#tabulate());
    this.points = [];
  }

  /**
   * @param {object[]} points
   * @param {number} stepsTotal
   */
  show(points, stepsTotal) {
    this.points = points;
    this.charts.forEach((chart) => chart.show(points, stepsTotal));
    this.#tabulate();
  }

  #tabulate() {
    if (this.details.open) {
      showTable(this.table, this.points, [...CHARTS.flatMap(columns), ...MORE_COLUMNS], MOST_ROWS);
    }
  }
}

function columns({ series, format }) {
  return series.map(({ key, name, column }) => ({ key, name: column ?? name, format }));
}
