/** Asking again and again, politely: not while nobody looks, and ever less often while the server is away. */

import { ApiError } from "./api.js";

const FIRST_BACKOFF_MS = 1000;
const LONGEST_BACKOFF_MS = 15000;

/**
 * Run a step until it is over.
 * @param {() => Promise<number|null>} step one look; gives the milliseconds until the next one, or null at the end
 * @param {(error: ApiError|null) => void} onConnection told an error when a look fails, null when one succeeds again
 */
export async function poll(step, onConnection) {
  let backoffMs = FIRST_BACKOFF_MS;
  for (;;) {
    let waitMs;
    try {
      waitMs = await step();
      onConnection(null);
      backoffMs = FIRST_BACKOFF_MS;
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      onConnection(error);
      waitMs = error.passing ? Math.max(error.retryAfterMs ?? 0, backoffMs) : null;
      backoffMs = Math.min(backoffMs * 2, LONGEST_BACKOFF_MS);
    }
    if (waitMs === null) {
      return;
    }
    await pause(waitMs);
    await visible();
  }
}

/**
 * What to tell a person when a look fails.
 * @param {ApiError} error
 * @returns {string}
 */
export function connectionText(error) {
  if (error.status === 401 || error.status === 403) {
    return "You were signed out. Reload this page to sign in again; the work goes on meanwhile.";
  }
  if (error.status === 404) {
    return "This is not here any more.";
  }
  return error.passing
    ? "Connection lost, trying again. The work goes on at the server meanwhile."
    : `The server refused: ${error.message}`;
}

/** Wait, but no longer than until the browser says it is online again. */
function pause(ms) {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      window.removeEventListener("online", wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    window.addEventListener("online", wake);
  });
}

function visible() {
  if (!document.hidden) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", () => resolve(), { once: true });
  });
}
