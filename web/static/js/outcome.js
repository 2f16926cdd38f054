/** How a result came out: its warning, and what a person who looks closer may want to know. */

import { element } from "./dom.js";
import { plural } from "./format.js";

const WARNINGS = {
  little_color: "The model found little to color here, as in snow or on a blank page.",
};
const LOSSY = {
  "image/jpeg": "JPEG",
  "image/webp": "WebP",
  "image/jp2": "JPEG 2000",
  "image/avif": "AVIF",
  "image/heic": "HEIC",
};
const PRECISE = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

/** @param {object} photo @returns {string} what is to be said about a result, "" for most */
export function warningText(photo) {
  return photo.warning ? (WARNINGS[photo.warning] ?? "It came out with a warning.") : "";
}

/** @param {object} photo @returns {HTMLElement|null} the warning to stand beside a result */
export function warningLine(photo) {
  return photo.warning ? element("p", { class: "outcome-warning" }, warningText(photo)) : null;
}

/**
 * A folded line about how true a result is to its original.
 * @param {object} photo
 * @returns {HTMLElement|null} null for results from before it was measured
 */
export function outcomeDetails(photo) {
  if (photo.state !== "done" || photo.lightness_error_mean === null) {
    return null;
  }
  const { losses } = photo;
  const lost = losses.length ? ` · ${plural(losses.length, "thing")} could not be kept` : "";
  const items = [lightnessText(photo), ...losses.map((loss) => `Not kept: ${loss}.`), `Computed by ${photo.runtime}.`];
  return element(
    "details",
    { class: "outcome" },
    element("summary", {}, `How true it is to the original${lost}`),
    element("ul", {}, ...items.map((text) => element("li", { dir: "auto" }, text))),
  );
}

function lightnessText(photo) {
  const [mean, largest] = [photo.lightness_error_mean, photo.lightness_error_max].map((value) => PRECISE.format(value));
  const packed = LOSSY[photo.result_media_type];
  const when = packed ? `, before it was packed as ${packed}` : "";
  return `Its lightness differs from the original’s by ${mean} on average and ${largest} at most, on a scale of 100${when}.`;
}
