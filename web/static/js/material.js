/** The material to train on: what was uploaded, what of it is usable, sending more and taking it back. */

import { getJson, sendJson } from "./api.js";
import { confirmed } from "./confirm.js";
import { element, setText } from "./dom.js";
import { Dropzone } from "./dropzone.js";
import { count, moment, plural, size } from "./format.js";
import { showRows } from "./rows.js";
import { leftOutWords, materialWords } from "./training_words.js";
import { failureOf, TransferPanel, whatIsWrong } from "./transfer.js";
import { send } from "./upload.js";

const MATERIAL_URL = "/api/v1/training-material";
const SHOWN_AT_FIRST = 8;
const WITHDRAWING =
  "Its photographs are deleted here and are never trained on again; training that is under way with them is canceled. " +
  "Models that learned from them keep what they learned.";

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
    this.panel = new TransferPanel({ onCancel: () => this.#cancel(), onRetry: () => this.#start() }, false);
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
      tellProblem(failureOf(error).text);
    }
  }

  #reading(found) {
    this.dropzone.accepting = false;
    this.#show(true);
    this.panel.reading(found);
  }

  #take(files) {
    this.dropzone.accepting = true;
    this.files = files;
    const totalBytes = files.reduce((sum, { file }) => sum + file.size, 0);
    const wrong = whatIsWrong(files, totalBytes, this.maxBytes);
    if (wrong) {
      this.#problem(wrong, false);
    } else {
      this.#start();
    }
  }

  async #start() {
    const started = send(this.files, {}, (progress) => this.panel.progress(progress), MATERIAL_URL);
    this.transfer = started;
    this.dropzone.accepting = false;
    this.#show(true);
    this.panel.name(this.files.length === 1 ? this.files[0].path : plural(this.files.length, "file"));
    this.panel.progress({ sentBytes: 0, totalBytes: 1, speed: null });
    try {
      await started.job;
      this.#ended();
      this.#show(false);
      await this.look();
    } catch (error) {
      this.#ended();
      const { text, canRetry } = failureOf(error);
      this.#problem(text, canRetry);
    }
  }

  #ended() {
    this.transfer = null;
    this.dropzone.accepting = true;
  }

  #cancel() {
    this.transfer?.cancel();
    this.#show(false);
  }

  #problem(text, canRetry) {
    this.#show(true);
    this.dropzone.accepting = true;
    this.panel.problem(text, canRetry);
  }

  #show(on) {
    this.panel.show(on);
    find("dropzone").hidden = on;
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
