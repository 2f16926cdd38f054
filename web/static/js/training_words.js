/** Training, its material and its models in plain words. The one place for these texts. */

import { count, moment, plural } from "./format.js";

const OVER = new Set(["completed", "failed", "canceled"]);
const LEFT_OUT = {
  dull: "too pale",
  gray: "black and white",
  toned: "toned (sepia and the like)",
  duplicate: "that were there already",
  unreadable: "unreadable",
  too_small: "too small",
  not_an_image: "not photographs",
};
const PHASES = {
  preparing: "Reading the photographs and making them small.",
  training: "Learning from the photographs.",
  comparing: "Comparing the new model with the one in use, photograph by photograph.",
};
const SHORT_PHASES = { preparing: "Reading photographs", comparing: "Comparing" };
const VERDICTS = {
  promoted: "Better than the one before, and put in use.",
  candidate: "Better than the one in use. It waits for your decision.",
  rejected: "Not put in use: it did not prove better.",
};
const SHORT_VERDICTS = { promoted: "Put in use", candidate: "Better, waits for you", rejected: "Not better" };
const RECIPES = {
  "fine-tune": "Fine-tune a model",
  default: "Train a model from nothing",
  quick: "Quick trial",
};
const RECIPE_HINTS = {
  "fine-tune": "What usually helps a collection: it keeps what the model knows and brings it nearer to your photographs.",
  default: "Needs tens of thousands of photographs, and hours on a graphics card or days without one.",
  quick: "To see that everything works. It hardly changes the model, so do not expect a better one.",
};
const SOURCES = { shipped: "came with the program", imported: "imported", trained: "trained here" };

/** The numbers a model is measured by: name, what it says, digits after the point, and which way is better. */
export const METRICS = {
  de00: { name: "Color difference (ΔE00)", says: "how far its colors are from the true ones", digits: 2, better: "lower" },
  cf_error: { name: "Error of colorfulness", says: "how far each picture is from being as colorful as it was", digits: 2, better: "lower" },
  dcf: { name: "Difference in mean colorfulness (dCF)", says: "over all pictures together", digits: 2, better: "lower" },
  cf: { name: "Colorfulness (CF)", says: "how much color there is; 0 is gray", digits: 1, better: "" },
  auc: { name: "AuC", says: "share of colors that lie near the true ones", digits: 3, better: "higher" },
  auc_balanced: { name: "AuC, balanced", says: "the same, with rare colors counting as much as common ones", digits: 3, better: "higher" },
  psnr: { name: "PSNR in dB", says: "flatters what is gray", digits: 2, better: "higher" },
  ssim: { name: "SSIM", says: "flatters what is gray", digits: 3, better: "higher" },
};

const REASON_NAMES = [
  ["CIEDE2000", "the color difference"],
  ["|CF - CF of the truth|", "the error of colorfulness"],
  [" on frozen ", " on the fixed yardstick "],
  [" on held_out ", " on your collection "],
];

/** The sets of photographs that models are compared on. */
export const SETS = {
  frozen: "The fixed yardstick: photographs set aside once, never trained on",
  held_out: "Your collection: photographs kept back, never trained on",
};

/** @param {object} run @returns {boolean} whether nothing more will happen to it */
export function isRunOver(run) {
  return OVER.has(run.state);
}

/** @param {object} run @returns {string} what it is called */
export function runTitle(run) {
  return moment(run.created_at);
}

/** @param {object} run @returns {string} one sentence for the run's own page */
export function runSentence(run) {
  switch (run.state) {
    case "queued":
      return "Waiting for the trainer.";
    case "running":
      return PHASES[run.phase] ?? "Beginning.";
    case "canceling":
      return "Stopping.";
    case "completed":
      return VERDICTS[run.verdict] ?? "Finished.";
    case "failed":
      return run.message || "This run failed.";
    case "canceled":
      return `Canceled. ${run.message} No model came out of it.`.replace("  ", " ");
    default:
      return run.state;
  }
}

/** @param {object} run @returns {string} a few words for a list of runs */
export function runSummary(run) {
  switch (run.state) {
    case "queued":
      return "Waiting";
    case "running":
      return run.phase === "training"
        ? `Learning, step ${count(run.step)} of ${count(run.steps_total)}`
        : (SHORT_PHASES[run.phase] ?? "Beginning");
    case "canceling":
      return "Stopping";
    case "completed":
      return SHORT_VERDICTS[run.verdict] ?? "Finished";
    case "failed":
      return "Failed";
    case "canceled":
      return "Canceled";
    default:
      return run.state;
  }
}

/** @param {object} run @returns {string} who or what asked for it */
export function runOrigin(run) {
  if (run.trigger === "schedule") {
    return "by schedule";
  }
  return run.trigger === "cli" ? `by ${run.actor}, from the command line` : `by ${run.actor}`;
}

/** @param {string} reason of a verdict, as the server gives it @returns {string} with the names that these pages use */
export function reasonWords(reason) {
  return REASON_NAMES.reduce((text, [name, words]) => text.replaceAll(name, words), reason);
}

/** @param {string} recipe @returns {string} what it is called */
export function recipeName(recipe) {
  return RECIPES[recipe] ?? recipe;
}

/** @param {string} recipe @param {number} steps @returns {string} what to know before choosing it */
export function recipeHint(recipe, steps) {
  return [RECIPE_HINTS[recipe], `${plural(steps, "step")}.`].filter(Boolean).join(" ");
}

/** @param {object} upload of material @returns {string} where it stands and what came of it */
export function materialWords(upload) {
  const { usable = 0 } = upload.counts;
  switch (upload.state) {
    case "queued":
      return "Safely stored, waiting to be read";
    case "reading":
      return `Being read: ${plural(usable, "usable photograph")} so far`;
    case "ready":
      return plural(usable, "usable photograph");
    case "failed":
      return upload.message || "Could not be read";
    case "withdrawn":
      return "Withdrawn, and its photographs deleted";
    default:
      return upload.state;
  }
}

/** @param {object} counts of files by code @returns {string} "12 too pale, 3 black and white"; "" when all were taken */
export function leftOutWords(counts) {
  const left = Object.entries(counts).filter(([code, number]) => code !== "usable" && number > 0);
  return left.map(([code, number]) => `${count(number)} ${LEFT_OUT[code] ?? code.replaceAll("_", " ")}`).join(", ");
}

/** @param {object} model @returns {string} where it came from */
export function sourceWords(model) {
  return [SOURCES[model.source] ?? model.source, model.parent && `from ${model.parent}`].filter(Boolean).join(" ");
}

/** @param {string} metric one of METRICS @param {number|null|undefined} value @returns {string} "–" for none */
export function metricValue(metric, value) {
  return typeof value === "number" ? value.toFixed(METRICS[metric]?.digits ?? 2) : "–";
}

/** @param {object} promotion @returns {string} what was done, without when and why */
export function promotionWords({ kind, version, previous, actor }) {
  const who = actor === "schedule" ? "The schedule" : actor;
  const before = previous ? ` Before it: ${previous}.` : "";
  if (kind === "install") {
    return `${version} came with the program.${before}`;
  }
  return kind === "rollback" ? `${who} went back to ${version}.${before}` : `${who} put ${version} in use.${before}`;
}
