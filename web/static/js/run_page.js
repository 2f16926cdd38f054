/** A training run's page: where it stands, its curves and pictures as they come, the comparison, and what to do with it. */

import { ApiError, getJson, postJson, sendJson } from "./api.js";
import { comparisonTables } from "./comparison.js";
import { confirmed, confirmedWithReason } from "./confirm.js";
import { element, setBar, setText } from "./dom.js";
import { count, duration, elapsed, moment, percent, plural, size } from "./format.js";
import { connectionText, poll } from "./poll.js";
import { RunCharts } from "./run_charts.js";
import { RunSamples } from "./run_samples.js";
import { isRunOver, reasonWords, recipeName, runOrigin, runSentence, runTitle } from "./training_words.js";

const LOOK_EVERY_MS = 2000;
const WAITING_EVERY_MS = 4000;
const ENOUGH_TO_TELL_MS = 8000;
const MODELS_URL = "/api/v1/models";

const find = (id) => document.getElementById(id);

class RunPage {
  constructor(url) {
    this.url = url;
    this.run = null;
    this.points = [];
    this.charts = new RunCharts(find("charts"), find("points-table"));
    this.samples = new RunSamples(find("samples-view"));
    find("cancel").addEventListener("click", () => this.#cancel());
    find("promote").addEventListener("click", () => this.#promote());
  }

  follow() {
    return poll(
      () => this.#look(),
      (error) => tell("connection", error ? connectionText(error) : ""),
    );
  }

  async #look() {
    const { data, changed } = await getJson(this.url);
    this.run = data;
    if (changed) {
      await this.#render();
    }
    await Promise.all([this.#loadPoints(), this.#loadSamples()]);
    if (isRunOver(data)) {
      return null;
    }
    return data.state === "queued" ? WAITING_EVERY_MS : LOOK_EVERY_MS;
  }

  async #render() {
    const { run } = this;
    const over = isRunOver(run);
    const part = run.steps_total ? run.step / run.steps_total : null;
    setText(find("run-title"), `Training run of ${runTitle(run)}`);
    setText(find("run-state"), runSentence(run));
    find("run-bar").hidden = over || run.state === "queued";
    setBar(find("run-bar"), run.phase === "training" ? part : null);
    find("cancel").hidden = over || run.state === "canceling";
    this.#renderNumbers();
    document.title = `${!over && part ? `${percent(part)} · ` : ""}Training run · Gray2Hue`;
    find("run-facts").replaceChildren(...facts(run));
    await this.#renderVerdict();
  }

  #renderNumbers() {
    const texts = [...this.#progress(), ...deviceTexts(isRunOver(this.run) ? null : this.points.at(-1))];
    find("run-numbers").replaceChildren(...texts.map((text) => element("span", {}, text)));
  }

  #progress() {
    const { run } = this;
    if (isRunOver(run)) {
      const { started_at: from, finished_at: to } = run;
      return [to && moment(to), from && to && `took ${elapsed(from, to)}`].filter(Boolean);
    }
    return run.steps_total ? [`step ${count(run.step)} of ${count(run.steps_total)}`, this.#timeLeft()].filter(Boolean) : [];
  }

  /** By how fast the steps went while this page was looking. */
  #timeLeft() {
    const { run } = this;
    if (run.phase !== "training" || !this.since || run.step < this.since.step) {
      this.since = run.phase === "training" ? { step: run.step, at: performance.now() } : null;
      return "";
    }
    const passedMs = performance.now() - this.since.at;
    const done = run.step - this.since.step;
    if (done === 0 || passedMs < ENOUGH_TO_TELL_MS) {
      return "";
    }
    return `${duration((((run.steps_total - run.step) / done) * passedMs) / 1000)} of learning left`;
  }

  async #renderVerdict() {
    const { run } = this;
    const tables = comparisonTables(run.result);
    find("comparison").hidden = !run.verdict;
    setText(find("verdict-reason"), reasonWords(run.verdict_reason));
    find("comparison-sets").replaceChildren(...tables);
    find("promote").hidden = true;
    if (run.candidate) {
      const { data } = await getJson(MODELS_URL);
      find("promote").hidden = data.active === run.candidate;
      find("promote").classList.toggle("primary", run.verdict === "candidate");
      setText(find("promote"), `Use ${run.candidate}`);
    }
  }

  async #loadPoints() {
    // After a resume the steps since its checkpoint are done again, and so are their measurements.
    if (this.run.step < (this.points.at(-1)?.step ?? 0)) {
      this.points = [];
    }
    const { data } = await getJson(`${this.run.links.points}?after=${this.points.at(-1)?.step ?? -1}`);
    if (data.points.length || this.points.length === 0) {
      this.points = [...this.points, ...data.points];
      find("curves").hidden = this.points.length === 0;
      this.charts.show(this.points, this.run.steps_total);
      this.#renderNumbers();
    }
  }

  async #loadSamples() {
    const { data, changed } = await getJson(this.run.links.samples);
    if (changed) {
      find("samples").hidden = !this.samples.show(data.samples);
    }
  }

  async #cancel() {
    const question = "Cancel this run? What it has learned so far is thrown away. The model in use stays as it is.";
    if (await confirmed(question, "Cancel the run", "Keep going")) {
      await this.#attempt(async () => {
        this.run = await postJson(this.run.links.cancel);
        await this.#render();
      });
    }
  }

  async #promote() {
    const { candidate, verdict } = this.run;
    const doubt = verdict === "rejected" ? "It did not prove better than the one in use. " : "";
    const reason = await confirmedWithReason(`${doubt}Give ${candidate} to all new jobs? You can go back at any time.`, "Use it");
    if (reason !== null) {
      await this.#attempt(async () => {
        await sendJson("POST", `${MODELS_URL}/${encodeURIComponent(candidate)}/promotion`, { reason });
        find("promote").hidden = true;
        tell("run-told", `${candidate} is in use. New jobs get it within seconds; jobs that are under way keep the model they began with.`);
      });
    }
  }

  async #attempt(doing) {
    try {
      tell("run-problem", "");
      await doing();
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      tell("run-problem", error.message);
    }
  }
}

function deviceTexts(point) {
  if (!point) {
    return [];
  }
  return [
    point.size_px && point.batch_size && `${point.batch_size} pictures of ${point.size_px} pixels at a time`,
    point.images_per_s && `${point.images_per_s.toFixed(1)} a second`,
    Number.isFinite(point.device_use) && `device ${percent(point.device_use)} busy`,
    point.memory_bytes && `${size(point.memory_bytes)} of memory`,
  ].filter(Boolean);
}

function facts(run) {
  const { counts } = run.snapshot;
  const rows = {
    Started: `${moment(run.created_at)}, ${runOrigin(run)}`,
    How: recipeName(run.config.recipe),
    "Went on from": run.config.from_parent === false ? "nothing" : run.parent,
    "New model": run.candidate,
    "Learned from": counts.train && plural(counts.train, "photograph"),
    "Chosen by": counts.validation && `${count(counts.validation)} more, by which the best of its states was picked`,
    "Compared on": comparedOn(counts),
    "Photographs’ hash": run.snapshot.sha256,
    Seed: String(run.config.seed ?? ""),
  };
  return Object.entries(rows).flatMap(([name, value]) => (value ? [element("dt", {}, name), element("dd", {}, value)] : []));
}

function comparedOn({ frozen, held_out: heldOut }) {
  return [frozen && `${count(frozen)} of the fixed yardstick`, heldOut && `${count(heldOut)} kept back`].filter(Boolean).join(", ");
}

function tell(id, text) {
  find(id).hidden = !text;
  setText(find(id), text);
}

new RunPage(find("run-page").dataset.run).follow();
