/** The first page: from a drop to a job, or for one picture straight to its colors. */

import { showAs } from "./address.js";
import { ApiError, getJson } from "./api.js";
import { setBar, setText } from "./dom.js";
import { Dropzone } from "./dropzone.js";
import { duration, percent, plural, size } from "./format.js";
import { OptionsPanel } from "./options.js";
import { connectionText, poll } from "./poll.js";
import { SingleView } from "./single.js";
import { send, uploadProblem } from "./upload.js";
import { isOver } from "./words.js";

const PICTURE = /\.(jpe?g|jpe|jfif|png|tiff?|webp|jp2|j2k|jp[fx]|j2c|jpc|bmp|dib|avif|hei[cf]|hif)$/i;
const SLOW_MS = 1200;
const FIRST_LOOKS = 40;
const FIRST_LOOK_EVERY_MS = 300;
const LOOK_EVERY_MS = 1000;

const find = (id) => document.getElementById(id);

class UploadPage {
  constructor() {
    this.maxBytes = Number(find("upload-page").dataset.maxUploadBytes);
    this.transfer = null;
    this.localUrl = null;
    this.options = new OptionsPanel(find("options"));
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
    window.addEventListener("beforeunload", (event) => this.transfer && event.preventDefault());
  }

  #reading(found) {
    this.dropzone.accepting = false;
    this.#showTransfer(true);
    setText(find("transfer-name"), "Reading the folder");
    setText(find("transfer-numbers"), `${plural(found, "file")} found so far`);
    setBar(find("transfer-bar"), null);
    find("transfer-cancel").hidden = true;
  }

  #take(files) {
    this.dropzone.accepting = true;
    this.files = files;
    this.totalBytes = files.reduce((sum, { file }) => sum + file.size, 0);
    this.single = null;
    this.#reset();
    if (files.length === 0) {
      this.#problem("There are no files in what was dropped.", false);
    } else if (this.totalBytes > this.maxBytes) {
      this.#problem(`This is ${size(this.totalBytes)}; the server takes at most ${size(this.maxBytes)} at once.`, false);
    } else {
      if (files.length === 1 && PICTURE.test(files[0].path)) {
        this.#preview(files[0]);
      }
      this.#start();
    }
  }

  #preview({ file, path }) {
    URL.revokeObjectURL(this.localUrl);
    this.localUrl = URL.createObjectURL(file);
    this.single = new SingleView(find("single"), path, this.localUrl);
  }

  #compact(on) {
    find("intro").hidden = on;
    find("recent")?.toggleAttribute("hidden", on);
    find("dropzone").classList.toggle("compact", on);
    setText(find("dropzone-title"), on ? "Drop the next one anywhere here" : "Drop photographs here");
    find("single").after(find("dropzone"), find("options"));
  }

  async #start() {
    const started = send(this.files, this.options.chosen, (progress) => this.#progress(progress));
    this.transfer = started;
    this.dropzone.accepting = false;
    this.#compact(Boolean(this.single));
    find("single").hidden = !this.single;
    this.#showTransfer(!this.single);
    const slow = setTimeout(() => this.transfer === started && this.#showTransfer(true), SLOW_MS);
    setText(find("transfer-name"), title(this.files));
    this.#progress({ sentBytes: 0, totalBytes: this.totalBytes, speed: null });
    try {
      const job = await started.job;
      this.#ended();
      if (job) {
        await this.#created(job);
      }
    } catch (error) {
      this.#ended();
      this.#failed(error);
    } finally {
      clearTimeout(slow);
    }
  }

  #ended() {
    this.transfer = null;
    this.dropzone.accepting = true;
  }

  async #created(job) {
    if (!this.single) {
      location.assign(job.links.page);
      return;
    }
    this.#showTransfer(false);
    this.#showDropzone(true);
    showAs(job.links.page);
    const view = this.single;
    let looks = 0;
    await poll(
      async () => {
        const over = await look(job, view);
        looks += 1;
        const dropped = view !== this.single;
        return over || dropped ? null : looks < FIRST_LOOKS ? FIRST_LOOK_EVERY_MS : LOOK_EVERY_MS;
      },
      (error) => error && view.tell(connectionText(error)),
    );
    setText(find("announcer"), view.state.textContent);
  }

  #progress({ sentBytes, totalBytes, speed }) {
    const part = totalBytes ? sentBytes / totalBytes : 0;
    const numbers = [`${size(sentBytes)} of ${size(totalBytes)}`, percent(part)];
    if (speed && part < 1) {
      numbers.push(`${size(speed.bytesPerS)} a second`, `${duration(speed.leftS)} left`);
    }
    setBar(find("transfer-bar"), part);
    setText(find("transfer-numbers"), part < 1 ? numbers.join(" · ") : "Everything has arrived; the server is storing it safely.");
  }

  #cancel() {
    this.transfer?.cancel();
    this.#showTransfer(false);
    this.#reset();
  }

  #failed(error) {
    if (!(error instanceof ApiError)) {
      throw error;
    }
    this.#problem(uploadProblem(error), error.passing || error.status === 401 || error.status === 507);
  }

  #problem(text, canRetry) {
    this.#reset();
    this.dropzone.accepting = true;
    find("transfer").hidden = false;
    find("transfer-bar").hidden = true;
    setText(find("transfer-numbers"), "");
    setText(find("transfer-name"), "That did not work");
    find("transfer-problem").hidden = false;
    setText(find("transfer-problem"), text);
    find("transfer-retry").hidden = !canRetry;
    find("transfer-cancel").hidden = false;
    setText(find("transfer-cancel"), "Close");
  }

  #reset() {
    find("single").hidden = true;
    this.#showDropzone(true);
    this.#compact(false);
  }

  #showDropzone(on) {
    find("dropzone").hidden = !on;
    find("options").hidden = !on;
  }

  #showTransfer(on) {
    find("transfer").hidden = !on;
    this.#showDropzone(!on && !this.single);
    find("transfer-bar").hidden = false;
    find("transfer-problem").hidden = true;
    find("transfer-retry").hidden = true;
    find("transfer-cancel").hidden = false;
    setText(find("transfer-cancel"), "Cancel");
  }
}

/** One look at a single picture's job. @returns {Promise<boolean>} whether it is over */
async function look(job, view) {
  const { data } = await getJson(job.links.self);
  if (data.total > 0) {
    const page = await getJson(`${job.links.photos}?limit=1`);
    const photo = page.data.photos[0];
    if (photo) {
      await view.update(photo);
    }
  }
  if (isOver(data) && data.total === 0) {
    await view.update({ state: "failed", path: data.name, message: data.message });
  }
  return isOver(data);
}

function title(files) {
  const tops = new Set(files.map(({ path }) => path.split("/")[0]));
  const name = tops.size === 1 ? [...tops][0] : "Your files";
  return files.length === 1 ? files[0].path : `${name}: ${plural(files.length, "file")}`;
}

new UploadPage();
