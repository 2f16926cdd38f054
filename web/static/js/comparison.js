/** The comparison that decides on a new model, set by set, in numbers and in words. */

import { element } from "./dom.js";
import { plural } from "./format.js";
import { METRICS, SETS, metricValue } from "./training_words.js";

/** The numbers that the decision is made by, and the others. */
const DECIDING = ["de00", "cf_error"];
const TELLING = ["dcf", "cf", "auc", "auc_balanced", "psnr", "ssim"];
const COLUMNS = { candidate: "New model", active: "In use", gray: "Gray" };

/**
 * @param {object} result a run's
 * @returns {HTMLElement[]} a table for each set; none without a comparison
 */
export function comparisonTables(result) {
  return Object.entries(result.scores ?? {}).map(([name, scores]) => table(name, scores, result.sets?.[name]?.metrics ?? {}));
}

/** The roles are those of the elements; said anew, since on a narrow screen the style sheet makes blocks of the rows. */
function table(name, scores, decided) {
  const metrics = [...DECIDING, ...TELLING].filter((metric) => typeof scores.candidate[metric] === "number");
  const heads = ["Number", ...Object.values(COLUMNS), "What that means"];
  const size = element("span", { class: "hint" }, ` ${plural(scores.candidate.photographs, "photograph")}`);
  return element(
    "table",
    { class: "numbers comparison", role: "table" },
    element("caption", {}, SETS[name] ?? name, size),
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads.map(columnHead))),
    element("tbody", { role: "rowgroup" }, ...metrics.map((metric) => row(metric, scores, decided[metric]))),
  );
}

function columnHead(text) {
  return element("th", { scope: "col", role: "columnheader" }, text);
}

function row(metric, scores, decided) {
  const { name, says } = METRICS[metric];
  const head = element("th", { scope: "row", role: "rowheader" }, name, element("span", { class: "hint" }, says));
  const values = Object.entries(COLUMNS).map(([who, column]) => {
    return element("td", { role: "cell", "data-column": column }, metricValue(metric, scores[who]?.[metric]));
  });
  const words = element("td", { class: "meaning", role: "cell" }, meaning(metric, decided));
  return element("tr", { class: DECIDING.includes(metric) ? "deciding" : "", role: "row" }, head, ...values, words);
}

function meaning(metric, decided) {
  if (!DECIDING.includes(metric)) {
    const { better } = METRICS[metric];
    return better ? `Told, but does not decide. ${better === "lower" ? "Lower" : "Higher"} is better.` : "Told, but does not decide.";
  }
  if (typeof decided?.low !== "number") {
    return "Too few photographs to tell.";
  }
  const [difference, low, high] = [decided.difference, decided.low, decided.high].map((value) => signed(metric, value));
  return `${verdict(decided)} The difference is ${difference}; chance aside, it lies between ${low} and ${high}.`;
}

function verdict({ better, worse, surely_worse: surelyWorse }) {
  if (better) {
    return "Better, beyond chance.";
  }
  if (surelyWorse) {
    return "Worse, beyond chance.";
  }
  return worse ? "May be worse by more than is tolerated." : "No difference beyond chance.";
}

function signed(metric, value) {
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${metricValue(metric, Math.abs(value))}`;
}
