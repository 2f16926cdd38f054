/** The large viewer: one photograph fills the window, the arrow keys turn to its neighbors. */

import { Approval } from "./approve.js";
import { element, setText } from "./dom.js";
import { size } from "./format.js";
import { outcomeDetails, warningLine } from "./outcome.js";
import { Slider } from "./slider.js";
import { photoWords, reason } from "./words.js";

/** A dialog over the page, showing the photographs of whatever source it was opened with. */
export class Viewer {
  /** @param {(id: string) => void} onClose told which photograph was looked at last */
  constructor(onClose) {
    this.onClose = onClose;
    this.id = null;
    this.shown = null;
    this.approval = null;
    this.name = element("p", { class: "viewer-name", dir: "auto", id: "viewer-name" });
    this.picture = element("div", { class: "viewer-picture" });
    this.facts = element("p", { role: "status" });
    this.more = element("div", { class: "viewer-more" });
    this.links = element("p", { class: "viewer-links" });
    this.back = element("button", { class: "viewer-step", type: "button", "aria-label": "Previous photograph" }, "‹");
    this.next = element("button", { class: "viewer-step next", type: "button", "aria-label": "Next photograph" }, "›");
    this.exit = element("button", { class: "viewer-close", type: "button", "aria-label": "Close" }, "×");
    this.dialog = element(
      "dialog",
      { class: "viewer", "aria-labelledby": "viewer-name" },
      element("div", { class: "viewer-head" }, this.name, this.exit),
      element("div", { class: "viewer-stage" }, this.back, this.picture, this.next),
      element("div", { class: "viewer-foot" }, element("div", { class: "viewer-texts" }, this.facts, this.more), this.links),
    );
    document.body.append(this.dialog);
    this.#listen();
  }

  /**
   * @param {import("./photo_source.js").PhotoSource} source
   * @param {string} id
   */
  open(source, id) {
    if (source !== this.source) {
      this.source = source;
      source.onPhoto((photo) => this.#changed(source, photo));
    }
    this.#show(id);
    if (!this.dialog.open) {
      this.dialog.showModal();
      this.exit.focus();
    }
  }

  #listen() {
    this.back.addEventListener("click", () => this.#turn(-1));
    this.next.addEventListener("click", () => this.#turn(1));
    this.exit.addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => {
      this.picture.replaceChildren();
      this.onClose(this.id);
    });
    this.dialog.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step && !event.altKey && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        this.#turn(step);
      }
    });
  }

  #changed(source, photo) {
    if (source === this.source && this.dialog.open) {
      if (photo.id !== this.id) {
        this.#bounds();
      } else if (this.approval && looksAlike(photo, this.shown)) {
        this.approval.show(photo);
      } else {
        this.#show(this.id);
      }
    }
  }

  async #turn(step) {
    const wanted = this.source.indexOf(this.id) + step;
    if (wanted >= this.source.photos.length && !this.source.atEnd) {
      await this.source.more().catch(() => undefined);
    }
    const photo = this.source.photos[wanted];
    if (photo) {
      this.#show(photo.id);
    }
  }

  #show(id) {
    const photo = this.source.photo(id);
    const isApproving = this.approval !== null && this.approval.button === document.activeElement;
    this.id = id;
    this.shown = photo;
    this.approval = photo.links.approval ? new Approval(photo, (changed) => this.source.put(changed)) : null;
    setText(this.name, photo.path);
    setText(this.facts, facts(photo));
    this.more.replaceChildren(...[warningLine(photo), outcomeDetails(photo), this.approval?.element].filter(Boolean));
    this.picture.replaceChildren(photo.state === "done" ? this.#slider(photo) : message(photo));
    this.links.replaceChildren(...downloads(photo));
    this.#bounds();
    this.#keepFocus(isApproving);
  }

  /** What had the keyboard may be gone with the last photograph; then the arrow keys would not be heard any more. */
  #keepFocus(isApproving) {
    if (this.dialog.open && !this.dialog.contains(document.activeElement)) {
      (isApproving && this.approval ? this.approval.button : this.exit).focus();
    }
  }

  #bounds() {
    const index = this.source.indexOf(this.id);
    this.back.disabled = index <= 0;
    this.next.disabled = index >= this.source.photos.length - 1 && this.source.atEnd;
  }

  #slider(photo) {
    const slider = new Slider({ name: photo.path, width: photo.width, height: photo.height });
    slider.showBoth(photo.links.preview_original, photo.links.preview, false).catch(() => {
      if (photo.id === this.id) {
        this.picture.replaceChildren(element("p", { class: "viewer-message" }, "The preview cannot be loaded."));
      }
    });
    return slider.element;
  }
}

function looksAlike(photo, shown) {
  return photo.state === shown.state && photo.links.preview === shown.links.preview;
}

function message(photo) {
  const text = photo.state === "failed" ? reason(photo) : `This photograph is ${photoWords(photo)}.`;
  return element("p", { class: "viewer-message" }, text);
}

function facts(photo) {
  const pixels = photo.width && photo.height ? `${photo.width} × ${photo.height} pixels` : "";
  const bytes = photo.size_bytes === null ? "" : size(photo.size_bytes);
  const label = photo.state === "done" ? `Colors are a guess by model ${photo.model_version}` : "";
  return [label, pixels, bytes].filter(Boolean).join(" · ");
}

function downloads(photo) {
  const { result, original } = photo.links;
  return [
    result && element("a", { href: result, download: "" }, "Download in color"),
    original && element("a", { href: original, download: "" }, "Download the original"),
  ].filter(Boolean);
}
