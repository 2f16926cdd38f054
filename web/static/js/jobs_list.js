/** A list of jobs whose states keep up with the server while somebody looks. */

import { getJson } from "./api.js";
import { setBar, setText } from "./dom.js";
import { poll } from "./poll.js";
import { isOver, jobSummary, progress } from "./words.js";

const LOOK_EVERY_MS = 3000;

function show(row, job) {
  const { part, problems } = progress(job);
  setText(row.querySelector('[data-field="status"]'), jobSummary(job));
  setBar(row.querySelector('[data-field="bar"]'), part, problems);
  row.classList.toggle("active", !isOver(job));
  row.classList.toggle("resting", job.state === "paused");
  row.classList.toggle("gone", job.state === "expired");
  row.classList.toggle("problem", job.state === "failed" || job.state === "completed_with_errors");
}

/** Only an upload that is refused or breaks off leaves no job behind. */
function showGone(row) {
  setText(row.querySelector('[data-field="status"]'), "The upload broke off");
  row.classList.remove("active");
  row.classList.add("gone");
}

async function follow(row, job) {
  const { data, retryAfterMs } = await getJson(job.links.self);
  show(row, data);
  return isOver(data) ? null : Math.max(LOOK_EVERY_MS, retryAfterMs ?? 0);
}

for (const row of document.querySelectorAll(".job-row")) {
  const job = JSON.parse(row.dataset.job);
  show(row, job);
  if (!isOver(job)) {
    poll(
      () => follow(row, job),
      (error) => error?.status === 404 && showGone(row),
    );
  }
}
