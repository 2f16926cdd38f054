/** One photograph by itself: at first as it is, then in color beside the original. */

import { Approval } from "./approve.js";
import { element } from "./dom.js";
import { baseName } from "./format.js";
import { outcomeDetails, warningLine } from "./outcome.js";
import { Slider } from "./slider.js";
import { guessLabel, photoWords, reason } from "./words.js";

/** The large view of a single photograph. */
export class SingleView {
  /**
   * @param {HTMLElement} container
   * @param {string} path
   * @param {string|null} localUrl the picture in the person's own hands, shown until the server has one
   */
  constructor(container, path, localUrl) {
    this.container = container;
    this.localUrl = localUrl;
    this.finished = null;
    this.slider = new Slider({ name: baseName(path), width: null, height: null });
    this.frame = element("div", { class: "single-frame" }, this.slider.element);
    this.state = element("p", { class: "single-state" }, "Coloring…");
    this.buttons = element("div", { class: "choices" });
    const name = element("p", { class: "single-name", dir: "auto" }, path);
    this.texts = element("div", { class: "single-texts" }, name, this.state);
    container.replaceChildren(this.frame, element("div", { class: "single-caption" }, this.texts, this.buttons));
    container.hidden = false;
    if (localUrl) {
      this.#showLocal();
    }
  }

  /** @param {string} text what is going on */
  tell(text) {
    this.state.textContent = text;
  }

  /**
   * Bring the view up to what the server says.
   * @param {object} photo
   * @returns {Promise<void>}
   */
  async update(photo) {
    if (this.finished === photo.state) {
      return;
    }
    if (photo.state === "done") {
      await this.#finish(photo);
    } else if (photo.state === "failed" || photo.state === "canceled" || photo.state === "skipped") {
      this.slider.element.classList.remove("coloring");
      this.frame.hidden = !this.localUrl;
      this.tell(photo.message ? reason(photo) : `This photograph is ${photoWords(photo)}.`);
    } else {
      this.tell(photo.state === "running" ? "Coloring…" : "Waiting for its turn…");
      return;
    }
    this.finished = photo.state;
  }

  async #finish(photo) {
    try {
      await this.slider.showBoth(photo.links.preview_original, photo.links.preview, true);
    } catch {
      this.tell("The picture is ready, but its preview cannot be loaded.");
    }
    this.tell(guessLabel(photo.model_version));
    this.texts.append(...[warningLine(photo), outcomeDetails(photo)].filter(Boolean), new Approval(photo).element);
    this.buttons.replaceChildren(
      element("a", { class: "button primary", href: photo.links.result, download: baseName(photo.result_path) }, "Download in color"),
      element("a", { class: "button", href: photo.links.original, download: baseName(photo.path) }, "Original"),
    );
  }

  /** A browser cannot show every picture that can be colorized, TIFF above all; then the frame waits empty. */
  #showLocal() {
    this.slider.before.addEventListener("error", () => this.slider.before.removeAttribute("src"), { once: true });
    this.slider.showOriginal(this.localUrl);
  }
}
