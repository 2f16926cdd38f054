/** Sending files to the server, with numbers for the person who waits. */

import { ApiError, csrfToken, errorOf } from "./api.js";

const JOBS_URL = "/api/v1/jobs";
const WINDOW_MS = 5000;
const UNANSWERED = "unanswered";

/** The speed of a transfer over its last seconds. */
export class Speedometer {
  constructor() {
    this.samples = [];
  }

  /**
   * @param {number} sentBytes
   * @param {number} totalBytes
   * @param {number} [nowMs]
   * @returns {{bytesPerS: number, leftS: number}|null} null until there is enough to tell
   */
  measure(sentBytes, totalBytes, nowMs = performance.now()) {
    this.samples.push({ sentBytes, nowMs });
    while (this.samples.length > 2 && nowMs - this.samples[0].nowMs > WINDOW_MS) {
      this.samples.shift();
    }
    const [first] = this.samples;
    const elapsedMs = nowMs - first.nowMs;
    const bytesPerS = ((sentBytes - first.sentBytes) / elapsedMs) * 1000;
    return elapsedMs > 500 && bytesPerS > 0 ? { bytesPerS, leftS: (totalBytes - sentBytes) / bytesPerS } : null;
  }
}

/**
 * Send files, as one job or as what else the address takes.
 * @param {{file: File, path: string}[]} files
 * @param {Object<string, string>} options of the job, by the API's names
 * @param {(progress: {sentBytes: number, totalBytes: number, speed: object|null}) => void} onProgress
 * @param {string} [url]
 * @returns {{job: Promise<object|null>, cancel: () => void}} `job` gives null when it was canceled and rejects with an ApiError
 */
export function send(files, options, onProgress, url = JOBS_URL) {
  const transfer = new XMLHttpRequest();
  const speedometer = new Speedometer();
  transfer.upload.addEventListener("progress", ({ loaded, total }) => {
    onProgress({ sentBytes: loaded, totalBytes: total, speed: speedometer.measure(loaded, total) });
  });
  const job = outcome(transfer);
  transfer.open("POST", url);
  transfer.setRequestHeader("Accept", "application/json");
  transfer.setRequestHeader("X-CSRFToken", csrfToken());
  transfer.send(form(files, options));
  return { job, cancel: () => transfer.abort() };
}

/**
 * What to tell a person about an upload that failed.
 * @param {ApiError} error
 * @returns {string}
 */
export function uploadProblem(error) {
  switch (error.status) {
    case 0:
      return error.code === UNANSWERED
        ? "The connection was lost after everything had been sent. Look under Jobs before you try again: it may have arrived."
        : "The connection was lost, or a file was changed or moved meanwhile. Nothing was kept; please try again.";
    case 401:
      return "You were signed out. Sign in again in another tab, then try again here.";
    case 413:
      return `This is more than the server takes at once. ${error.message}`;
    case 507:
      return error.code === "stored_bytes_exceeded"
        ? error.message
        : "The server has no room left for this. Free some space there, or ask whoever runs it, then try again.";
    default:
      return error.message;
  }
}

function outcome(transfer) {
  return new Promise((resolve, reject) => {
    let sent = false;
    transfer.upload.addEventListener("load", () => {
      sent = true;
    });
    transfer.addEventListener("abort", () => resolve(null));
    transfer.addEventListener("error", () => reject(new ApiError(0, sent ? UNANSWERED : "", "The connection was lost.")));
    transfer.addEventListener("load", () => {
      if (transfer.status === 201) {
        resolve(JSON.parse(transfer.responseText));
      } else {
        reject(errorOf(transfer.status, transfer.responseText, transfer.getResponseHeader("Retry-After")));
      }
    });
  });
}

function form(files, options) {
  const parts = new FormData();
  // Options first: a wrong one is refused before the files are read.
  Object.entries(options).forEach(([name, value]) => parts.append(name, value));
  files.forEach(({ file, path }) => parts.append("files", file, path));
  return parts;
}
