/** Two pictures of the same thing on top of each other, and a divider to compare them by. */

import { element, setRatio, setText } from "./dom.js";

const STEP = 2;
const BIG_STEP = 10;
const CLEARANCE = 14;
const WORDS = { before: "Original", after: "Machine colors" };

/** A before/after slider. `element` goes into the page; `value` is the percentage that shows the original. */
export class Slider {
  /**
   * @param {{name: string, width: number|null, height: number|null}} picture
   */
  constructor({ name, width, height }) {
    this.value = 50;
    this.words = WORDS;
    this.before = element("img", { class: "slider-before", alt: `The original of ${name}`, draggable: "false" });
    this.after = element("img", { class: "slider-after", alt: `${name}, colorized by a machine`, draggable: "false" });
    this.handle = element("div", {
      class: "slider-handle",
      role: "slider",
      tabindex: "0",
      "aria-label": "Divider between the original and the colors",
      "aria-valuemin": "0",
      "aria-valuemax": "100",
      "aria-orientation": "horizontal",
    });
    this.beforeTag = element("span", { class: "slider-tag before" }, WORDS.before);
    this.afterTag = element("span", { class: "slider-tag after" }, WORDS.after);
    this.element = element("div", { class: "slider coloring" }, this.before, this.after, this.beforeTag, this.afterTag, this.handle);
    setRatio(this.element, width, height);
    this.before.addEventListener("load", () => this.#fit(this.before));
    this.#listen();
    this.set(100);
  }

  /**
   * Say what is compared, where it is not an original with its colors.
   * @param {string} before
   * @param {string} after
   */
  call(before, after) {
    this.words = { before, after };
    setText(this.beforeTag, before);
    setText(this.afterTag, after);
    this.before.alt = before;
    this.after.alt = after;
    this.handle.setAttribute("aria-label", `Divider between “${before}” and “${after}”`);
    this.set(this.value);
  }

  /**
   * Show the original by itself, as a picture that is on its way.
   * @param {string} url
   */
  showOriginal(url) {
    if (this.before.getAttribute("src") !== url) {
      this.before.src = url;
    }
  }

  /**
   * Show both, once both are decoded, so that nothing flashes.
   * @param {string|null} beforeUrl null leaves what is there
   * @param {string} afterUrl
   * @param {boolean} sweep let the divider travel from the original to the middle
   * @returns {Promise<void>} settled when they can be seen; rejected when a picture cannot be loaded
   */
  async showBoth(beforeUrl, afterUrl, sweep) {
    await Promise.all([beforeUrl && load(beforeUrl), load(afterUrl)]);
    if (beforeUrl) {
      this.before.src = beforeUrl;
    }
    this.after.src = afterUrl;
    await this.after.decode().catch(() => undefined);
    this.#fit(this.after);
    const isFirst = this.element.classList.contains("coloring");
    this.element.classList.remove("coloring");
    this.element.classList.toggle("reveal", sweep);
    if (sweep) {
      this.element.getBoundingClientRect();
    }
    if (isFirst) {
      this.set(50);
    }
  }

  /** @param {number} value 0 (all color) to 100 (all original) */
  set(value) {
    this.value = Math.min(100, Math.max(0, value));
    const rounded = Math.round(this.value);
    this.element.style.setProperty("--split", this.value.toFixed(2));
    this.element.classList.toggle("mostly-after", this.value < CLEARANCE);
    this.element.classList.toggle("mostly-before", this.value > 100 - CLEARANCE);
    this.handle.setAttribute("aria-valuenow", String(rounded));
    const { before, after } = this.words;
    this.handle.setAttribute("aria-valuetext", `${rounded}% ${before.toLowerCase()}, ${100 - rounded}% ${after.toLowerCase()}`);
  }

  #listen() {
    this.element.addEventListener("pointerdown", (event) => this.#grab(event));
    this.element.addEventListener("pointermove", (event) => {
      if (this.element.hasPointerCapture(event.pointerId)) {
        this.#follow(event);
      }
    });
    this.handle.addEventListener("keydown", (event) => this.#key(event));
  }

  #grab(event) {
    if (event.button !== 0 || this.element.classList.contains("coloring")) {
      return;
    }
    // The divider is not focused by a pointer: in the viewer the arrow keys must go on turning pages after a drag.
    event.preventDefault();
    this.element.setPointerCapture(event.pointerId);
    this.#follow(event);
  }

  #follow(event) {
    const box = this.element.getBoundingClientRect();
    this.element.classList.remove("reveal");
    this.set(((event.clientX - box.left) / box.width) * 100);
  }

  #key(event) {
    const moves = {
      ArrowLeft: this.value - STEP,
      ArrowDown: this.value - STEP,
      ArrowRight: this.value + STEP,
      ArrowUp: this.value + STEP,
      PageDown: this.value - BIG_STEP,
      PageUp: this.value + BIG_STEP,
      Home: 0,
      End: 100,
    };
    if (event.key in moves) {
      event.preventDefault();
      event.stopPropagation();
      this.element.classList.remove("reveal");
      this.set(moves[event.key]);
    }
  }

  #fit(image) {
    setRatio(this.element, image.naturalWidth, image.naturalHeight);
  }
}

function load(url) {
  const image = new Image();
  image.src = url;
  return image.decode();
}
