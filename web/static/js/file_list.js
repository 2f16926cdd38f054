/** Files by name with the reason why nothing in color came out of them. */

import { element } from "./dom.js";
import { PhotoSource } from "./photo_source.js";
import { reason } from "./words.js";

/** A folded list of a job's files in one state; it asks the server only while it is open. */
export class FileList {
  /**
   * @param {HTMLDetailsElement} details
   * @param {string} url the job's `links.photos`
   * @param {string} state
   */
  constructor(details, url, state) {
    this.details = details;
    this.list = details.querySelector("ul");
    this.button = details.querySelector("button");
    this.url = url;
    this.state = state;
    this.reset();
    details.addEventListener("toggle", () => this.#load());
    this.button.addEventListener("click", () => this.#load(true));
  }

  /** Begin anew, where files that were in the state may be in another one. */
  reset() {
    this.list.replaceChildren();
    this.source = new PhotoSource(this.url, [this.state]);
    this.source.onPhoto((photo, index, isNew) => isNew && this.#add(photo, index));
    this.shown = 0;
  }

  /**
   * @param {number} count how many such files there are now
   * @param {string} title
   */
  async update(count, title) {
    this.details.hidden = count === 0;
    this.details.querySelector("summary").textContent = title;
    if (count !== this.shown) {
      this.shown = count;
      await this.#load();
    }
  }

  async #load(further = false) {
    if (!this.details.open || this.details.hidden) {
      return;
    }
    const last = this.source.photos.at(-1);
    try {
      if (last) {
        await this.source.refresh(0, last.position);
      }
      if (!last || further || this.source.atEnd) {
        await this.source.more();
      }
    } catch {
      // The next change of the count, or a click, asks again; the page itself says that the connection is lost.
      this.shown = -1;
    }
    this.button.hidden = this.source.atEnd;
  }

  #add(photo, index) {
    const why = element("span", { class: "file-reason" }, reason(photo), " ", element("code", {}, photo.code));
    const row = element("li", {}, element("span", { class: "file-name", dir: "auto" }, photo.path), why);
    this.list.insertBefore(row, this.list.children[index] ?? null);
  }
}
