/** A job's page: where it stands, its problems by name, its photographs as they come. */

import { ApiError, getJson, postJson, sendJson } from "./api.js";
import { confirmed } from "./confirm.js";
import { isBusy, setBar, setBusy, setText } from "./dom.js";
import { FileList } from "./file_list.js";
import { count, percent, plural } from "./format.js";
import { JobHistory } from "./job_history.js";
import { optionWords } from "./options.js";
import { PhotoGrid } from "./photo_grid.js";
import { PhotoSource } from "./photo_source.js";
import { connectionText, poll } from "./poll.js";
import { SingleView } from "./single.js";
import { Viewer } from "./viewer.js";
import { guessLabel, isOver, jobNumbers, jobSentence, keptUntil, photographs, progress } from "./words.js";

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

const CANCEL = "Cancel this job? Photographs that are done are kept and can be downloaded; the others stay gray.";
const DELETE =
  "Delete this job’s photographs? The originals as they were uploaded and all results in color are deleted from the server, " +
  "and nobody can bring them back. Only the job’s name and numbers and its history stay in the list.";

const find = (id) => document.getElementById(id);

class JobPage {
  constructor(job) {
    this.job = job;
    this.looks = 0;
    this.filter = "all";
    this.single = null;
    this.source = null;
    this.polling = false;
    this.problems = new FileList(find("problems"), job.links.photos, "failed");
    this.skipped = new FileList(find("skipped"), job.links.photos, "skipped");
    this.viewer = new Viewer((id) => this.grid.focus(id));
    this.grid = new PhotoGrid(find("grid"), find("grid-more"), {
      open: (id) => this.viewer.open(this.source, id),
      failed: (error) => this.#connection(error),
    });
    this.history = new JobHistory(find("history"), job.links.events);
    this.#listen();
  }

  #listen() {
    this.#onClick("pause", () => postJson(this.job.links.pause));
    this.#onClick("resume", () => postJson(this.job.links.resume));
    this.#onClick("retry", () => this.#retry());
    this.#onClick("cancel", async () => (await confirmed(CANCEL, "Cancel the job", "Keep going")) && postJson(this.job.links.cancel));
    this.#onClick("delete", async () => (await confirmed(DELETE, "Delete for good", "Keep them")) && sendJson("DELETE", this.job.links.self));
    find("filters").addEventListener("click", (event) => this.#choose(event.target.dataset.filter));
  }

  async follow() {
    this.#render();
    if (!this.polling) {
      this.polling = true;
      await poll(
        () => this.#look(),
        (error) => this.#connection(error),
      );
      this.polling = false;
    }
  }

  async #look() {
    const { data, changed, retryAfterMs } = await getJson(this.job.links.self);
    this.job = data;
    this.looks += 1;
    if (changed || this.behind) {
      this.#render();
      this.history.update();
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
    const gone = job.state === "expired";
    setText(find("job-state"), jobSentence(job));
    setBar(find("job-bar"), part, problems);
    const numbers = jobNumbers(job).map((text) => Object.assign(document.createElement("span"), { textContent: text }));
    find("job-numbers").replaceChildren(...numbers);
    this.#renderButtons();
    find("job-bar").hidden = gone || job.state === "completed";
    find("job-bar").classList.toggle("resting", job.state === "paused");
    const alone = this.#isAlone();
    find("download").classList.toggle("primary", !alone);
    setText(find("download"), over ? `Download results${alone ? " as a ZIP" : ""}` : `Download what is done (${count(job.counts.done)})`);
    find("job-label").hidden = alone;
    setText(find("job-label"), job.counts.done && !gone ? guessLabel(job.model_version, job.counts.done) : `Model ${job.model_version}`);
    tell("job-options", wishWords(job));
    tell("job-kept", keptUntil(job));
    document.title = `${over || part === null ? "" : `${percent(part + problems)} · `}${job.name} · Gray2Hue`;
    this.#renderFilters();
  }

  #renderButtons() {
    const { job } = this;
    const over = isOver(job);
    const gone = job.state === "expired";
    find("download").hidden = gone || job.counts.done === 0;
    find("pause").hidden = !job.links.pause;
    find("resume").hidden = !job.links.resume;
    find("retry").hidden = !job.links.retry;
    find("cancel").hidden = over || job.state === "canceling" || job.state === "receiving";
    find("delete").hidden = gone || !over;
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
    if (this.job.state === "expired") {
      find("photographs").hidden = true;
      find("single").hidden = true;
      return;
    }
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

  /** Failed photographs begin anew, so what was shown of them is no longer true. */
  async #retry() {
    const job = await postJson(this.job.links.retry);
    this.problems.reset();
    this.source = null;
    this.single = null;
    return job;
  }

  /** @param {string} id of a button @param {() => Promise<object|false>} ask gives the job as it is then, or false */
  #onClick(id, ask) {
    find(id).addEventListener("click", async () => {
      if (!isBusy(find(id))) {
        setBusy(find(id), true);
        await this.#change(ask);
        setBusy(find(id), false);
        this.#keepFocus(find(id));
      }
    });
  }

  async #change(ask) {
    tell("refusal", "");
    try {
      const job = await ask();
      if (job) {
        this.job = job;
        this.behind = true;
        this.follow();
      }
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      tell("refusal", error.passing ? "The server cannot be reached. Please try again." : error.message);
    }
  }

  /** A button that has done its work may be gone; then the keyboard goes on at its neighbor. */
  #keepFocus(button) {
    if (button.hidden) {
      const neighbor = [...button.parentElement.children].find((one) => !one.hidden && one.id !== "download");
      (neighbor ?? find("job-state")).focus();
    }
  }

  #connection(error) {
    const brokeOff = error?.status === 404 && this.job.state === "receiving";
    const text = error ? connectionText(error) : "";
    tell("connection", brokeOff ? "The upload broke off, and nothing of it was kept." : text);
  }
}

function wishWords({ options, priority }) {
  const words = optionWords(options);
  return [words && `Options: ${words}.`, priority !== "normal" && `Priority: ${priority}.`].filter(Boolean).join(" ");
}

function tell(id, text) {
  find(id).hidden = !text;
  setText(find(id), text);
}

new JobPage(JSON.parse(find("job-page").dataset.job)).follow();
