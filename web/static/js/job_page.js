/** A job's page: where it stands, its problems by name, its photographs as they come. */

import { getJson, postJson } from "./api.js";
import { confirmed } from "./confirm.js";
import { setBar, setText } from "./dom.js";
import { FileList } from "./file_list.js";
import { count, percent, plural } from "./format.js";
import { optionWords } from "./options.js";
import { PhotoGrid } from "./photo_grid.js";
import { PhotoSource } from "./photo_source.js";
import { connectionText, poll } from "./poll.js";
import { SingleView } from "./single.js";
import { Viewer } from "./viewer.js";
import { guessLabel, isOver, jobNumbers, jobSentence, photographs, progress } from "./words.js";

const LOOK_EVERY_MS = 1000;
const SINGLE_LOOK_EVERY_MS = 300;
const SINGLE_QUICK_LOOKS = 60;
const FEW_PROBLEMS = 12;
const FILTERS = {
  all: ["pending", "running", "done", "failed", "canceled"],
  done: ["done"],
  problems: ["failed"],
  warned: ["done"],
};
const EMPTY = {
  all: "The photographs appear here as they are found.",
  done: "Nothing is done yet.",
  problems: "No problems so far.",
  warned: "No warnings so far.",
};

const find = (id) => document.getElementById(id);

class JobPage {
  constructor(job) {
    this.job = job;
    this.looks = 0;
    this.filter = "all";
    this.single = null;
    this.source = null;
    this.problems = new FileList(find("problems"), job.links.photos, "failed");
    this.skipped = new FileList(find("skipped"), job.links.photos, "skipped");
    this.viewer = new Viewer((id) => this.grid.focus(id));
    this.grid = new PhotoGrid(find("grid"), find("grid-more"), {
      open: (id) => this.viewer.open(this.source, id),
      failed: (error) => this.#connection(error),
    });
    find("cancel").addEventListener("click", () => this.#cancel());
    find("filters").addEventListener("click", (event) => this.#choose(event.target.dataset.filter));
  }

  follow() {
    this.#render();
    return poll(
      () => this.#look(),
      (error) => this.#connection(error),
    );
  }

  async #look() {
    const { data, changed, retryAfterMs } = await getJson(this.job.links.self);
    this.job = data;
    this.looks += 1;
    if (changed || this.behind) {
      this.#render();
      this.behind = true;
      await this.#photographs();
      this.behind = false;
    }
    if (isOver(this.job)) {
      return null;
    }
    const quick = photographs(this.job) <= 1 && this.looks < SINGLE_QUICK_LOOKS;
    return quick ? SINGLE_LOOK_EVERY_MS : Math.max(LOOK_EVERY_MS, retryAfterMs ?? 0);
  }

  #render() {
    const { job } = this;
    const { part, problems } = progress(job);
    const over = isOver(job);
    setText(find("job-state"), jobSentence(job));
    setBar(find("job-bar"), part, problems);
    const numbers = jobNumbers(job).map((text) => Object.assign(document.createElement("span"), { textContent: text }));
    find("job-numbers").replaceChildren(...numbers);
    find("cancel").hidden = over || job.state === "canceling";
    find("download").hidden = job.counts.done === 0;
    find("job-bar").hidden = job.state === "completed";
    const alone = this.#isAlone();
    find("download").classList.toggle("primary", !alone);
    setText(find("download"), over ? `Download results${alone ? " as a ZIP" : ""}` : `Download what is done (${count(job.counts.done)})`);
    find("job-label").hidden = alone;
    setText(find("job-label"), job.counts.done ? guessLabel(job.model_version, job.counts.done) : `Model ${job.model_version}`);
    const options = optionWords(job.options);
    find("job-options").hidden = !options;
    setText(find("job-options"), `Options: ${options}.`);
    document.title = `${over || part === null ? "" : `${percent(part + problems)} · `}${job.name} · Gray2Hue`;
    this.#renderFilters();
  }

  #renderFilters() {
    const { counts } = this.job;
    const numbers = { all: photographs(this.job), done: counts.done, problems: counts.failed, warned: this.job.warned };
    const words = { all: "All", done: "Done", problems: "Problems", warned: "Warnings" };
    for (const button of find("filters").children) {
      const { filter } = button.dataset;
      setText(button, `${words[filter]} ${count(numbers[filter])}`);
      button.setAttribute("aria-pressed", String(filter === this.filter));
    }
    find("filters").querySelector('[data-filter="warned"]').hidden = this.job.warned === 0;
    find("grid-empty").hidden = numbers[this.filter] > 0;
    setText(find("grid-empty"), isOver(this.job) && ["all", "done"].includes(this.filter) ? "Nothing to show." : EMPTY[this.filter]);
  }

  #isAlone() {
    return !this.job.unpacking && photographs(this.job) === 1;
  }

  async #photographs() {
    const { counts } = this.job;
    const openNow = isOver(this.job) && counts.failed <= FEW_PROBLEMS && counts.failed > 0;
    find("problems").open = find("problems").open || openNow;
    await this.problems.update(counts.failed, `${plural(counts.failed, "photograph")} could not be colorized`);
    find("skipped").open = find("skipped").open || (isOver(this.job) && photographs(this.job) === 0);
    await this.skipped.update(counts.skipped, `${plural(counts.skipped, "file")} skipped`);
    const alone = this.#isAlone();
    find("photographs").hidden = alone || (isOver(this.job) && photographs(this.job) === 0);
    if (alone) {
      await this.#showSingle();
    } else if (this.source) {
      await this.grid.refresh();
    } else if (photographs(this.job) > 0) {
      await this.#choose(this.filter);
    }
  }

  async #showSingle() {
    const query = FILTERS.all.map((state) => `state=${state}`).join("&");
    const { data } = await getJson(`${this.job.links.photos}?${query}&limit=1`);
    const photo = data.photos[0];
    if (photo) {
      this.single ??= new SingleView(find("single"), photo.path, null);
      await this.single.update(photo);
    }
  }

  async #choose(filter) {
    if (!(filter in FILTERS)) {
      return;
    }
    this.filter = filter;
    find("grid").dataset.filter = filter;
    this.#renderFilters();
    this.source = new PhotoSource(this.job.links.photos, FILTERS[filter], filter === "warned");
    await this.grid.show(this.source);
  }

  async #cancel() {
    const question = "Cancel this job? Photographs that are done are kept and can be downloaded; the others stay gray.";
    if (!(await confirmed(question, "Cancel the job", "Keep going"))) {
      return;
    }
    find("cancel").disabled = true;
    try {
      this.job = await postJson(this.job.links.cancel);
      this.#render();
    } catch (error) {
      this.#connection(error);
    }
    find("cancel").disabled = false;
  }

  #connection(error) {
    const notice = find("connection");
    notice.hidden = !error;
    setText(notice, error ? connectionText(error) : "");
  }
}

new JobPage(JSON.parse(find("job-page").dataset.job)).follow();
