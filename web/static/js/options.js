/** What is asked of a job: the panel on the first page, remembered by the browser, and options in plain words. */

import { setText } from "./dom.js";

const REMEMBERED_AS = "gray2hue-options";
const FORMATS = { jpeg: "JPEG", png: "PNG", tiff: "TIFF", webp: "WebP", jpeg2000: "JPEG 2000", avif: "AVIF" };
const DEFAULTS = {
  saturation: "1",
  output_format: "same",
  quality: "95",
  color_input: "skip",
  network_edge_px: "",
  mark: "false",
};

/**
 * Options that are not the usual ones, in words.
 * @param {Object<string, unknown>} options as the API gives a job's
 * @returns {string} "colors at 120%, JPEG"; "" for the usual ones
 */
export function optionWords(options) {
  const given = { ...DEFAULTS, ...options };
  return [
    Number(given.saturation) !== 1 && `colors at ${percentOf(given.saturation)}`,
    given.output_format !== "same" && FORMATS[given.output_format],
    String(given.quality) !== DEFAULTS.quality && `quality ${given.quality}`,
    given.color_input === "colorize" && "color photographs colored anew",
    given.network_edge_px && `seen at ${given.network_edge_px} pixels`,
    String(given.mark) === "true" && "visible mark",
  ]
    .filter(Boolean)
    .join(", ");
}

/** The panel. `chosen` is what differs from the usual. */
export class OptionsPanel {
  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
    this.#fill(recall());
    form.addEventListener("input", () => this.#changed());
    form.addEventListener("submit", (event) => event.preventDefault());
    // The fields have their new values only after the event.
    form.addEventListener("reset", () => setTimeout(() => this.#changed()));
    this.#show();
  }

  /** @returns {Object<string, string>} by the API's names; those with their usual values are left out */
  get chosen() {
    const values = Object.keys(DEFAULTS).map((name) => [name, this.#value(name)]);
    return Object.fromEntries(values.filter(([name, value]) => value !== DEFAULTS[name]));
  }

  #value(name) {
    const field = this.form.elements[name];
    return field.type === "checkbox" ? String(field.checked) : field.value;
  }

  #fill(values) {
    for (const [name, value] of Object.entries(values)) {
      const field = name in DEFAULTS ? this.form.elements[name] : null;
      if (field?.type === "checkbox") {
        field.checked = value === "true";
      } else if (field && (field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value))) {
        field.value = value;
      }
    }
  }

  #changed() {
    remember(this.chosen);
    this.#show();
  }

  #show() {
    const { saturation, quality } = this.form.elements;
    setText(this.form.querySelector(`output[for="${saturation.id}"]`), percentOf(saturation.value));
    setText(this.form.querySelector(`output[for="${quality.id}"]`), quality.value);
    const words = optionWords(this.chosen);
    setText(this.form.querySelector("#options-chosen"), words);
    this.form.querySelector("#options-reset").hidden = !words;
  }
}

function percentOf(factor) {
  return `${Math.round(Number(factor) * 100)}%`;
}

/** A browser may keep nothing, or forbid to ask; then the options are the usual ones at each visit. */
function recall() {
  try {
    return JSON.parse(localStorage.getItem(REMEMBERED_AS)) ?? {};
  } catch {
    return {};
  }
}

function remember(values) {
  try {
    localStorage.setItem(REMEMBERED_AS, JSON.stringify(values));
  } catch {
    // The choice still holds for this visit.
  }
}
