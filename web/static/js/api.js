/** Talking to the server: JSON in, JSON out, ETags remembered, errors as one kind. */

const REMEMBERED = 200;
const remembered = new Map();

/** What went wrong with a request. `status` is 0 when the server could not be reached at all. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code the server's stable code, or ""
   * @param {string} message one sentence for a person
   * @param {number|null} retryAfterMs
   */
  constructor(status, code, message, retryAfterMs = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may succeed later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** @returns {string} the token the server wants to see with every request that changes something */
export function csrfToken() {
  return document.querySelector('meta[name="csrf-token"]').content;
}

/**
 * Get JSON; an answer that has not changed costs the server nothing.
 * @param {string} url
 * @returns {Promise<{data: any, changed: boolean, retryAfterMs: number|null}>}
 * @throws {ApiError}
 */
export async function getJson(url) {
  const known = remembered.get(url);
  const headers = { Accept: "application/json" };
  if (known) {
    headers["If-None-Match"] = known.etag;
  }
  const answer = await request(url, { headers, cache: "no-store" });
  const retryAfterMs = retryAfter(answer.headers.get("Retry-After"));
  if (answer.status === 304 && known) {
    return { data: known.data, changed: false, retryAfterMs };
  }
  const data = await answer.json();
  remember(url, answer.headers.get("ETag"), data);
  return { data, changed: true, retryAfterMs };
}

/**
 * Ask the server to do something that needs no further words.
 * @param {string} url
 * @returns {Promise<any>} the answer's JSON
 * @throws {ApiError}
 */
export function postJson(url) {
  return sendJson("POST", url);
}

/**
 * Send an unsafe request.
 * @param {string} method
 * @param {string} url
 * @param {object|null} [content] goes as JSON; null sends no body
 * @returns {Promise<any>} the answer's JSON, null when it has none
 * @throws {ApiError}
 */
export async function sendJson(method, url, content = null) {
  const headers = { Accept: "application/json", "X-CSRFToken": csrfToken() };
  if (content !== null) {
    headers["Content-Type"] = "application/json";
  }
  const answer = await request(url, { method, headers, body: content === null ? undefined : JSON.stringify(content) });
  return answer.status === 204 ? null : answer.json();
}

/**
 * Turn an answer's text into the error it stands for.
 * @param {number} status
 * @param {string} body problem details (RFC 9457), or anything else a proxy may send
 * @param {string|null} retryAfterHeader
 * @returns {ApiError}
 */
export function errorOf(status, body, retryAfterHeader) {
  let problem = {};
  try {
    problem = JSON.parse(body) ?? {};
  } catch {
    problem = {};
  }
  const message = problem.detail || problem.title || `The server answered with status ${status}.`;
  return new ApiError(status, problem.code ?? "", message, retryAfter(retryAfterHeader));
}

async function request(url, options) {
  let answer;
  try {
    answer = await fetch(url, { credentials: "same-origin", ...options });
  } catch {
    throw new ApiError(0, "", "The server cannot be reached.");
  }
  if (!answer.ok && answer.status !== 304) {
    throw errorOf(answer.status, await answer.text().catch(() => ""), answer.headers.get("Retry-After"));
  }
  return answer;
}

function retryAfter(header) {
  if (!header) {
    return null;
  }
  const seconds = Number(header);
  const waitMs = Number.isNaN(seconds) ? new Date(header).getTime() - Date.now() : seconds * 1000;
  return Number.isNaN(waitMs) ? null : Math.max(0, waitMs);
}

function remember(url, etag, data) {
  remembered.delete(url);
  if (etag) {
    remembered.set(url, { etag, data });
  }
  if (remembered.size > REMEMBERED) {
    remembered.delete(remembered.keys().next().value);
  }
}
