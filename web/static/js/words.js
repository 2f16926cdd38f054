/** What a job's and a photograph's state is called in plain words. The one place for these texts. */

import { baseName, count, durationRange, elapsed, moment, percent, plural, rate } from "./format.js";

const OVER = new Set(["completed", "completed_with_errors", "failed", "canceled", "expired"]);
const LEFT_AS_IT_IS = {
  already_color:
    "It is in color already and was left as it is. To have it colored anew, send it again with “Color anew” chosen under Options.",
  no_tones: "It has no tones between dark and light that could take color: line art, text or a blank page.",
};
const MACHINE_WORDS = {
  pending: "waiting for its turn",
  running: "being colorized",
  done: "colorized by a machine",
  failed: "could not be colorized",
  skipped: "skipped",
  canceled: "not colorized, the job was canceled",
};
const EVENT_WORDS = {
  receiving: "The upload began",
  queued: "Received and safely stored",
  "paused queued": "Resumed",
  running: "Begun",
  "paused running": "Resumed",
  "completed_with_errors running": "Tried the failed ones again",
  "failed running": "Tried the failed ones again",
  paused: "Paused",
  canceling: "Asked to stop",
  completed: "Finished",
  completed_with_errors: "Finished, with problems",
  failed: "Failed",
  canceled: "Canceled",
  expired: "Originals and results deleted",
};
const CODE_WORDS = {
  storage_full: "no room left on the server",
  no_photographs: "there is no photograph in it",
  worker_died: "reading it ended its worker again and again",
};

/** @param {object} job @returns {boolean} whether nothing more will happen to it */
export function isOver(job) {
  return OVER.has(job.state);
}

/** @param {object} job @returns {number} its files less the skipped ones */
export function photographs(job) {
  return job.total - job.counts.skipped;
}

/**
 * How far a job is.
 * @param {object} job
 * @returns {{part: number|null, problems: number}} colorized and failed, each 0 to 1; null while nobody can know
 */
export function progress(job) {
  const all = photographs(job);
  if (job.state === "completed") {
    return { part: 1, problems: 0 };
  }
  if (!isOver(job) && (job.state === "receiving" || job.unpacking || all === 0)) {
    return { part: null, problems: 0 };
  }
  return all === 0 ? { part: 0, problems: 0 } : { part: job.counts.done / all, problems: job.counts.failed / all };
}

/** @param {object} job @returns {string} one sentence for the job's own page */
export function jobSentence(job) {
  const { done, failed } = job.counts;
  switch (job.state) {
    case "receiving":
      return "Coming in: the upload is under way and not complete yet.";
    case "queued":
      return "Received and safely stored. Waiting for a free worker.";
    case "running":
      return job.unpacking
        ? `Reading what was sent: ${plural(job.total, "file")} found so far.`
        : `Colorizing: ${count(done)} of ${plural(photographs(job), "photograph")} done.`;
    case "paused":
      return pausedSentence(job);
    case "canceling":
      return "Stopping. What is in hand is let go, what is done is kept.";
    case "completed":
      return done ? `Finished: ${plural(done, "photograph")} in color.` : "Finished. Nothing was colorized; why is told below.";
    case "completed_with_errors":
      return `Finished: ${plural(done, "photograph")} in color, ${count(failed)} could not be colorized.`;
    case "failed":
      return job.message || "This job failed.";
    case "canceled":
      return done ? `Canceled. ${plural(done, "photograph")} came out before that.` : "Canceled before any photograph came out.";
    case "expired":
      return `Deleted, with all originals and results.${done ? ` ${plural(done, "photograph")} had come out in color.` : ""}`;
    default:
      return job.state;
  }
}

/** @param {object} job @returns {string} a few words for a list of jobs */
export function jobSummary(job) {
  const { done, failed } = job.counts;
  switch (job.state) {
    case "receiving":
      return "Coming in";
    case "queued":
      return "Waiting";
    case "running":
      return job.unpacking ? `Reading, ${plural(job.total, "file")}` : `Colorizing, ${count(done)} of ${count(photographs(job))}`;
    case "paused":
      return `Paused${waitsForRoom(job) ? ", no room left" : ""}${job.unpacking ? "" : `, ${count(done)} of ${count(photographs(job))}`}`;
    case "canceling":
      return "Stopping";
    case "completed":
      return done ? `${count(done)} in color` : "Nothing to colorize";
    case "completed_with_errors":
      return `${count(done)} in color, ${plural(failed, "problem")}`;
    case "failed":
      return "Failed";
    case "canceled":
      return done ? `Canceled, ${count(done)} in color` : "Canceled";
    case "expired":
      return "Deleted";
    default:
      return job.state;
  }
}

/** @param {object} job @returns {string} "4 to 6 min left", or "" while nobody can know */
export function timeLeft(job) {
  return job.eta_low_s === null || job.eta_high_s === null ? "" : `${durationRange(job.eta_low_s, job.eta_high_s)} left`;
}

/** @param {object} job @returns {string} until when its files are kept, "" where nobody set an end */
export function keptUntil(job) {
  const until = job.expires_at && job.state !== "expired";
  return until ? `Originals and results are kept until ${moment(job.expires_at)}, then they are deleted.` : "";
}

/** @param {object} job @returns {string[]} the numbers under the bar, each a short text */
export function jobNumbers(job) {
  const { pending, running, failed, skipped, canceled } = job.counts;
  const { part, problems } = progress(job);
  const over = isOver(job);
  return [
    !over && part !== null && percent(part + problems),
    !over && running > 0 && `${count(running)} in hand`,
    !over && pending > 0 && `${count(pending)} waiting`,
    failed > 0 && plural(failed, "problem"),
    job.warned > 0 && plural(job.warned, "warning"),
    skipped > 0 && `${count(skipped)} skipped`,
    canceled > 0 && `${count(canceled)} not colorized`,
    !over && job.rate_per_s && rate(job.rate_per_s),
    job.state === "running" && timeLeft(job),
    over && job.finished_at && moment(job.finished_at),
    over && job.started_at && job.finished_at && `took ${elapsed(job.started_at, job.finished_at)}`,
  ].filter(Boolean);
}

/** @param {object} job @returns {boolean} whether the system paused it, and will let it go on */
function waitsForRoom(job) {
  return job.paused_by === "system";
}

function pausedSentence(job) {
  if (waitsForRoom(job)) {
    return "Paused: no room left on the server. It goes on by itself when there is room.";
  }
  const { pending, running, done } = job.counts;
  const hand = running > 0 ? ` ${plural(running, "photograph")} in hand may still be finished.` : "";
  const stand = job.unpacking && pending + running + done === 0 ? "" : ` ${count(done)} of ${plural(photographs(job), "photograph")} done.`;
  return `Paused.${stand}${hand} It goes on when you resume it.`;
}

/** @param {string} version @param {number} [results] @returns {string} what has to stand beside every result */
export function guessLabel(version, results = 1) {
  return `Colors are a guess by model ${version}. The ${results === 1 ? "original is" : "originals are"} untouched.`;
}

/** @param {object} photo @returns {string} why nothing in color came of it, without its name, which stands beside it */
export function reason(photo) {
  if (photo.code in LEFT_AS_IT_IS) {
    return LEFT_AS_IT_IS[photo.code];
  }
  const name = [photo.path, baseName(photo.path)].find((prefix) => photo.message.startsWith(`${prefix}: `));
  const text = name ? photo.message.slice(name.length + 2) : photo.message;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {object} photo @returns {string} its state in words */
export function photoWords(photo) {
  return MACHINE_WORDS[photo.state] ?? photo.state;
}

/** @param {object} event @returns {string} what happened to a job */
export function eventWords(event) {
  const words = EVENT_WORDS[`${event.from_state} ${event.to_state}`] ?? EVENT_WORDS[event.to_state] ?? event.to_state;
  return event.code && event.to_state !== "expired" ? `${words}: ${CODE_WORDS[event.code] ?? event.code.replaceAll("_", " ")}` : words;
}

/** @param {object} event @returns {string} who did it */
export function whoDid({ actor, person }) {
  if (person) {
    return `by ${person}`;
  }
  return actor.startsWith("user:") ? "by a person who is gone" : actor === "sweeper" || actor === "" ? "by itself" : "by a worker";
}
