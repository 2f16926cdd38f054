/** Saying of a result that its colors are believable, so that later models may learn from it, and taking that back. */

import { ApiError, sendJson } from "./api.js";
import { element, isBusy, setBusy, setText } from "./dom.js";

const WORDS = {
  false: {
    button: "Approve for training",
    text: "Do you know that these colors are right? Then later models may learn from them.",
  },
  true: {
    button: "Withdraw approval",
    text: "Approved: later models may learn from these colors.",
  },
};

/** A button and what it means, for one photograph that is done. */
export class Approval {
  /**
   * @param {object} photo
   * @param {(photo: object) => void} [onChange] told the photograph as it is after a change
   */
  constructor(photo, onChange = () => undefined) {
    this.onChange = onChange;
    this.text = element("p", { class: "approval-text", role: "status" });
    this.button = element("button", { class: "button small", type: "button" });
    this.element = element("div", { class: "approval" }, this.button, this.text);
    this.button.addEventListener("click", () => this.#change());
    this.show(photo);
  }

  /** @param {object} photo the same one, as it is now */
  show(photo) {
    this.photo = photo;
    const { button, text } = WORDS[photo.approved];
    setText(this.button, button);
    setText(this.text, text);
    this.element.classList.toggle("approved", photo.approved);
  }

  async #change() {
    if (isBusy(this.button)) {
      return;
    }
    setBusy(this.button, true);
    try {
      this.show(await sendJson(this.photo.approved ? "DELETE" : "PUT", this.photo.links.approval));
      this.onChange(this.photo);
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      setText(this.text, error.passing ? "The server cannot be reached. Please try again." : error.message);
    } finally {
      setBusy(this.button, false);
    }
  }
}
