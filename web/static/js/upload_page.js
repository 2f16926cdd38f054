/** The first page: from a drop to a job, or for one picture straight to its colors. */

import { showAs } from "./address.js";
import { getJson } from "./api.js";
import { setText } from "./dom.js";
import { Dropzone } from "./dropzone.js";
import { plural } from "./format.js";
import { OptionsPanel } from "./options.js";
import { connectionText, poll } from "./poll.js";
import { SingleView } from "./single.js";
import { failureOf, TransferPanel, whatIsWrong } from "./transfer.js";
import { send } from "./upload.js";
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
    this.panel = new TransferPanel({ onCancel: () => this.#cancel(), onRetry: () => this.#start() }, true);
    window.addEventListener("beforeunload", (event) => this.transfer && event.preventDefault());
  }

  #reading(found) {
    this.dropzone.accepting = false;
    this.#showTransfer(true);
    this.panel.reading(found);
  }

  #take(files) {
    this.dropzone.accepting = true;
    this.files = files;
    this.totalBytes = files.reduce((sum, { file }) => sum + file.size, 0);
    this.single = null;
    this.#reset();
    const wrong = whatIsWrong(files, this.totalBytes, this.maxBytes);
    if (wrong) {
      this.#problem(wrong, false);
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
    const started = send(this.files, this.options.chosen, (progress) => this.panel.progress(progress));
    this.transfer = started;
    this.dropzone.accepting = false;
    this.#compact(Boolean(this.single));
    find("single").hidden = !this.single;
    this.#showTransfer(!this.single);
    const slow = setTimeout(() => this.transfer === started && this.#showTransfer(true), SLOW_MS);
    this.panel.name(title(this.files));
    this.panel.progress({ sentBytes: 0, totalBytes: this.totalBytes, speed: null });
    try {
      const job = await started.job;
      this.#ended();
      if (job) {
        await this.#created(job);
      }
    } catch (error) {
      this.#ended();
      const { text, canRetry } = failureOf(error);
      this.#problem(text, canRetry);
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

  #cancel() {
    this.transfer?.cancel();
    this.#showTransfer(false);
    this.#reset();
  }

  #problem(text, canRetry) {
    this.#reset();
    this.dropzone.accepting = true;
    this.panel.problem(text, canRetry);
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
    this.panel.show(on);
    this.#showDropzone(!on && !this.single);
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
