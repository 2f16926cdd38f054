/** Sample pictures of a training run: one beside another, and how they changed while it learned. */

import { element, setText } from "./dom.js";
import { count } from "./format.js";
import { Slider } from "./slider.js";

const BESIDE = {
  before: { choice: "The model it went on from", tag: "Before" },
  gray: { choice: "The gray picture", tag: "Gray" },
  truth: { choice: "The true colors", tag: "True colors" },
};
const RATHER = ["before", "gray", "truth"];

/** The pictures. Nothing is seen until there is an `after`, the new model's. */
export class RunSamples {
  /** @param {HTMLElement} container */
  constructor(container) {
    this.samples = [];
    this.number = null;
    this.beside = null;
    this.step = null;
    this.followsNewest = true;
    this.slider = new Slider({ name: "a sample", width: null, height: null });
    this.thumbnails = element("div", { class: "sample-choice", role: "group", "aria-label": "Which photograph" });
    this.select = element("select", {});
    this.range = element("input", { type: "range", min: "0", step: "1" });
    this.rangeText = element("output", {});
    const choose = element("label", { class: "field" }, element("span", {}, "Beside it"), this.select);
    this.rangeField = element("label", { class: "field" }, element("span", {}, "The new model"), this.range, this.rangeText);
    container.append(
      element("div", { class: "single-frame sample-frame" }, this.slider.element),
      element("div", { class: "sample-controls" }, this.thumbnails, choose, this.rangeField),
    );
    this.#listen();
  }

  /**
   * @param {{step: number, number: number, kind: string, url: string}[]} samples
   * @returns {boolean} whether there is anything to see
   */
  show(samples) {
    this.samples = samples;
    const numbers = [...new Set(this.#of("after").map(({ number }) => number))].sort((one, other) => one - other);
    if (numbers.length === 0) {
      return false;
    }
    this.number = numbers.includes(this.number) ? this.number : numbers[0];
    this.#showThumbnails(numbers);
    this.#render();
    return true;
  }

  #listen() {
    this.thumbnails.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) {
        this.number = Number(button.dataset.number);
        this.#render();
      }
    });
    this.select.addEventListener("change", () => {
      this.beside = this.select.value;
      this.#render();
    });
    this.range.addEventListener("input", () => {
      const steps = this.#steps();
      this.step = steps[Number(this.range.value)];
      this.followsNewest = this.step === steps.at(-1);
      this.#render();
    });
  }

  #of(kind, number = null) {
    return this.samples.filter((sample) => sample.kind === kind && (number === null || sample.number === number));
  }

  #steps() {
    return this.#of("after", this.number).map(({ step }) => step).sort((one, other) => one - other);
  }

  #showThumbnails(numbers) {
    if (this.thumbnails.childElementCount !== numbers.length) {
      this.thumbnails.replaceChildren(...numbers.map((number) => this.#thumbnail(number)));
    }
    this.thumbnails.hidden = numbers.length < 2;
  }

  #thumbnail(number) {
    const [picture] = ["truth", "before", "after"].flatMap((kind) => this.#of(kind, number));
    const image = element("img", { src: picture.url, alt: "", width: "64", height: "64" });
    return element("button", { type: "button", "data-number": number, "aria-label": `Photograph ${number + 1}` }, image);
  }

  #render() {
    const kinds = RATHER.filter((kind) => this.#of(kind, this.number).length > 0);
    this.beside = kinds.includes(this.beside) ? this.beside : (kinds[0] ?? null);
    const options = kinds.map((kind) => element("option", { value: kind, selected: kind === this.beside }, BESIDE[kind].choice));
    if (this.select.options.length !== kinds.length) {
      this.select.replaceChildren(...options);
    }
    const steps = this.#steps();
    this.step = this.followsNewest || !steps.includes(this.step) ? steps.at(-1) : this.step;
    this.range.max = String(steps.length - 1);
    this.range.value = String(steps.indexOf(this.step));
    this.rangeField.hidden = steps.length < 2;
    setText(this.rangeText, `after ${count(this.step)} steps`);
    this.range.setAttribute("aria-valuetext", this.rangeText.textContent);
    for (const button of this.thumbnails.children) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.number) === this.number));
    }
    this.#showPictures();
  }

  #showPictures() {
    const after = this.#of("after", this.number).find(({ step }) => step === this.step);
    const before = this.beside && this.#of(this.beside, this.number).at(-1);
    const shown = `${before?.url} ${after.url}`;
    if (shown === this.shown) {
      return;
    }
    this.shown = shown;
    this.slider.call(before ? BESIDE[this.beside].tag : "Nothing", `New model, step ${count(this.step)}`);
    this.slider.showBoth(before?.url ?? after.url, after.url, false).catch(() => {
      this.shown = null;
    });
  }
}
