/** The material to train on: what was uploaded, what of it is usable, sending more and taking it back. */

import { ApiError, getJson, sendJson } from "./api.js";
import { confirmed } from "./confirm.js";
import { element, setBar, setText } from "./dom.js";
import { Dropzone } from "./dropzone.js";
import { count, duration, moment, percent, plural, size } from "./format.js";
import { showRows } from "./rows.js";
import { leftOutWords, materialWords } from "./training_words.js";
import { send, uploadProblem } from "./upload.js";

const MATERIAL_URL = "/api/v1/training-material";
const SHOWN_AT_FIRST = 8;
const WITHDRAWING =
  "Its photographs are deleted here and are never trained on again. Models that learned from them keep what they learned.";

const find = (id) => document.getElementById(id);

/** The part of the training page that is about photographs. */
export class Material {
  /** @param {number} maxBytes of one upload */
  constructor(maxBytes) {
    this.maxBytes = maxBytes;
    this.uploads = [];
    this.transfer = null;
    this.all = false;
    this.dropzone = new Dropzone(
      { zone: find("dropzone"), files: find("pick-files"), folder: find("pick-folder") },
      {
        onFiles: (files) => this.#take(files),
        onReading: (found) => this.#reading(found),
        onProblem: () => this.#problem("The dropped folder could not be read.", false),
      },
    );
    find("transfer-cancel").addEventListener("click", () => this.#cancel());
    find("transfer-retry").addEventListener("click", () => this.#start());
    find("material-more").addEventListener("click", () => this.#showAll());
    window.addEventListener("beforeunload", (event) => this.transfer && event.preventDefault());
  }

  /** Look once. @returns {Promise<boolean>} whether something is being read, so that it is worth to look again soon */
  async look() {
    const { data, changed } = await getJson(MATERIAL_URL);
    if (changed) {
      this.#render(data);
    }
    return data.uploads.some(({ state }) => state === "queued" || state === "reading");
  }

  #render({ summary, uploads }) {
    this.uploads = uploads;
    setText(find("material-summary"), summaryText(summary));
    setText(find("material-split"), splitText(summary));
    this.#list();
  }

  #list() {
    const shown = this.all ? this.uploads : this.uploads.slice(0, SHOWN_AT_FIRST);
    showRows(find("material-list"), shown, ({ id }) => id, (upload) => this.#row(upload), paint);
    find("material-more").hidden = shown.length === this.uploads.length;
    setText(find("material-more").firstElementChild, `Show all ${count(this.uploads.length)} uploads`);
  }

  #showAll() {
    this.all = true;
    this.#list();
  }

  #row(upload) {
    const attributes = { class: "button small", type: "button", "aria-label": `Withdraw ${upload.name}` };
    const withdraw = element("button", attributes, "Withdraw");
    withdraw.addEventListener("click", () => this.#withdraw(upload));
    return element(
      "li",
      { class: "material-row" },
      element("p", { class: "material-name", dir: "auto" }, upload.name),
      element("p", { class: "material-state" }),
      element("p", { class: "material-left" }),
      element("p", { class: "material-date" }, `${size(upload.size_bytes)} · ${moment(upload.created_at)}`),
      withdraw,
    );
  }

  async #withdraw(upload) {
    if (!(await confirmed(`Withdraw “${upload.name}”? ${WITHDRAWING}`, "Withdraw it", "Keep it"))) {
      return;
    }
    try {
      await sendJson("DELETE", upload.links.self);
      await this.look();
      tellProblem("");
    } catch (error) {
      tellProblem(wordsOf(error));
    }
  }

  #reading(found) {
    this.dropzone.accepting = false;
    this.#show(true);
    setText(find("transfer-name"), "Reading the folder");
    setText(find("transfer-numbers"), `${plural(found, "file")} found so far`);
    setBar(find("transfer-bar"), null);
    find("transfer-cancel").hidden = true;
  }

  #take(files) {
    this.dropzone.accepting = true;
    this.files = files;
    const totalBytes = files.reduce((sum, { file }) => sum + file.size, 0);
    if (files.length === 0) {
      this.#problem("There are no files in what was dropped.", false);
    } else if (totalBytes > this.maxBytes) {
      this.#problem(`This is ${size(totalBytes)}; the server takes at most ${size(this.maxBytes)} at once.`, false);
    } else {
      this.#start();
    }
  }

  async #start() {
    const started = send(this.files, {}, (progress) => this.#progress(progress), MATERIAL_URL);
    this.transfer = started;
    this.dropzone.accepting = false;
    this.#show(true);
    setText(find("transfer-name"), this.files.length === 1 ? this.files[0].path : plural(this.files.length, "file"));
    this.#progress({ sentBytes: 0, totalBytes: 1, speed: null });
    try {
      await started.job;
      this.#ended();
      this.#show(false);
      await this.look();
    } catch (error) {
      this.#ended();
      this.#problem(wordsOf(error), error.passing || error.status === 401 || error.status === 507);
    }
  }

  #ended() {
    this.transfer = null;
    this.dropzone.accepting = true;
  }

  #progress({ sentBytes, totalBytes, speed }) {
    const part = totalBytes ? sentBytes / totalBytes : 0;
    const numbers = [`${size(sentBytes)} of ${size(totalBytes)}`, percent(part)];
    if (speed && part < 1) {
      numbers.push(`${duration(speed.leftS)} left`);
    }
    setBar(find("transfer-bar"), part);
    setText(find("transfer-numbers"), part < 1 ? numbers.join(" · ") : "Everything has arrived; the server is storing it safely.");
  }

  #cancel() {
    this.transfer?.cancel();
    this.#show(false);
  }

  #problem(text, canRetry) {
    this.#show(true);
    this.dropzone.accepting = true;
    find("transfer-bar").hidden = true;
    setText(find("transfer-numbers"), "");
    setText(find("transfer-name"), "That did not work");
    find("transfer-problem").hidden = false;
    setText(find("transfer-problem"), text);
    find("transfer-retry").hidden = !canRetry;
    setText(find("transfer-cancel"), "Close");
  }

  #show(on) {
    find("transfer").hidden = !on;
    find("dropzone").hidden = on;
    find("transfer-bar").hidden = false;
    find("transfer-problem").hidden = true;
    find("transfer-retry").hidden = true;
    find("transfer-cancel").hidden = false;
    setText(find("transfer-cancel"), "Cancel");
  }
}

function paint(row, upload) {
  const left = leftOutWords(upload.counts);
  row.className = `material-row ${upload.state}`;
  setText(row.querySelector(".material-state"), materialWords(upload));
  setText(row.querySelector(".material-left"), left && upload.state !== "withdrawn" ? `Left out: ${left}` : "");
  row.querySelector("button").hidden = upload.state === "withdrawn";
}

function summaryText({ usable, approved, new: fresh }) {
  if (usable === 0) {
    return "No usable photographs yet.";
  }
  const parts = [plural(usable, "usable photograph")];
  if (approved > 0) {
    parts.push(`${plural(approved, "approved result")} among them`);
  }
  return `${parts.join(", ")}. ${fresh ? `${count(fresh)} new since the last run.` : "Nothing new since the last run."}`;
}

function splitText({ usable, train, frozen, held_out: heldOut }) {
  return usable === 0
    ? "About a tenth is set aside as a fixed yardstick and a tenth is kept back; the model learns from the rest."
    : `${count(train)} to learn from, ${count(frozen)} set aside as the fixed yardstick, ${count(heldOut)} kept back to check with.`;
}

function tellProblem(text) {
  find("material-problem").hidden = !text;
  setText(find("material-problem"), text);
}

function wordsOf(error) {
  if (!(error instanceof ApiError)) {
    throw error;
  }
  return uploadProblem(error);
}
