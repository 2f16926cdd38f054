/** The training page: material, a run now, the schedule, and all runs. */

import { getJson } from "./api.js";
import { element, setBar, setText } from "./dom.js";
import { moment } from "./format.js";
import { Material } from "./material.js";
import { connectionText, poll } from "./poll.js";
import { showRows } from "./rows.js";
import { ScheduleForm, StartForm } from "./training_forms.js";
import { isRunOver, runOrigin, runSentence, runSummary, runTitle } from "./training_words.js";

const RUNS_URL = "/api/v1/training-runs";
const RUNS_PER_PAGE = 20;
const MOST_RUNS = 500;
const SOON_MS = 2000;
const SELDOM_MS = 5000;

const find = (id) => document.getElementById(id);

class TrainingPage {
  constructor() {
    this.material = new Material(Number(find("training-page").dataset.maxUploadBytes));
    this.start = new StartForm();
    this.schedule = new ScheduleForm();
    this.limit = RUNS_PER_PAGE;
    this.formsLoaded = false;
    find("runs-more").addEventListener("click", () => this.#older());
  }

  follow() {
    return poll(() => this.#look(), tellConnection);
  }

  async #look() {
    if (!this.formsLoaded) {
      await Promise.all([this.start.load(), this.schedule.load()]);
      this.formsLoaded = true;
    }
    const busy = await Promise.all([this.material.look(), this.#runs()]);
    return busy.some(Boolean) ? SOON_MS : SELDOM_MS;
  }

  async #runs() {
    const { data, changed } = await getJson(`${RUNS_URL}?limit=${this.limit}`);
    if (changed) {
      showRows(find("runs"), data.runs, ({ id }) => id, makeRow, paintRow);
      find("runs-empty").hidden = data.runs.length > 0;
      find("runs-more").hidden = !data.next || this.limit === MOST_RUNS;
      showGoing(data.runs.find((run) => !isRunOver(run) && run.state !== "queued"));
    }
    return data.runs.some((run) => !isRunOver(run));
  }

  async #older() {
    this.limit = Math.min(this.limit + RUNS_PER_PAGE, MOST_RUNS);
    await this.#runs().catch(tellConnection);
  }
}

function makeRow(run) {
  const origin = element("span", { class: "run-origin" }, runOrigin(run));
  const name = element("a", { class: "job-name", href: `/training/runs/${run.id}` }, runTitle(run), " ", origin);
  return element(
    "li",
    { class: "job-row" },
    name,
    element("span", { class: "job-status" }),
    element("span", { class: "job-date" }),
    element("span", { class: "bar slim", "aria-hidden": "true" }),
  );
}

function paintRow(row, run) {
  const over = isRunOver(run);
  row.classList.toggle("active", !over && run.state !== "queued");
  row.classList.toggle("problem", run.state === "failed");
  setText(row.querySelector(".job-status"), runSummary(run));
  setText(row.querySelector(".job-date"), run.candidate ?? (run.finished_at ? `ended ${moment(run.finished_at)}` : ""));
  setBar(row.querySelector(".bar"), run.steps_total && run.phase === "training" ? run.step / run.steps_total : null);
}

function showGoing(run) {
  const notice = find("going");
  notice.hidden = !run;
  if (run && notice.dataset.run !== `${run.id} ${run.phase}`) {
    notice.dataset.run = `${run.id} ${run.phase}`;
    const link = element("a", { href: `/training/runs/${run.id}` }, "Watch it");
    notice.replaceChildren("A training run is going on. ", runSentence(run), " ", link);
  }
}

function tellConnection(error) {
  find("connection").hidden = !error;
  setText(find("connection"), error ? connectionText(error) : "");
}

new TrainingPage().follow();
