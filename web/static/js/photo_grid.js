/** The photographs of a job as rows of pictures that fill up while one watches. */

import { element, setRatio, setText } from "./dom.js";
import { baseName } from "./format.js";
import { warningText } from "./outcome.js";
import { photoWords, reason } from "./words.js";

const SAME_SHAPE = 0.02;

/** Tiles for a source's photographs; knows which of them can be seen. */
export class PhotoGrid {
  /**
   * @param {HTMLElement} list the `ul` to fill
   * @param {HTMLElement} more what stands behind the last tile; when it comes near, the next page is loaded
   * @param {{open: (id: string) => void, failed: (error: Error) => void}} handlers
   */
  constructor(list, more, handlers) {
    this.list = list;
    this.more = more;
    this.handlers = handlers;
    this.tiles = new Map();
    this.seen = new Set();
    this.watcher = new IntersectionObserver((entries) => this.#watch(entries), { rootMargin: "200px" });
    this.endWatcher = new IntersectionObserver((entries) => this.#nearEnd(entries), { rootMargin: "800px" });
    this.endWatcher.observe(more);
    more.querySelector("button").addEventListener("click", () => this.#load());
    list.addEventListener("click", (event) => this.#click(event));
  }

  /** @param {import("./photo_source.js").PhotoSource} source whose photographs to show from now on */
  async show(source) {
    this.source = source;
    this.watcher.disconnect();
    this.tiles.clear();
    this.seen.clear();
    this.list.replaceChildren();
    source.onPhoto((photo, index, isNew) => {
      if (source === this.source) {
        this.#put(photo, index, isNew);
      }
    });
    await this.#load();
  }

  /** Look again at what can be seen, and at the end, where more may have come. */
  async refresh() {
    const positions = [...this.seen].map((id) => this.source.photo(id)?.position).filter((place) => place !== undefined);
    if (positions.length) {
      await this.source.refresh(Math.min(...positions), Math.max(...positions));
    }
    if (this.source.atEnd || this.#endIsNear()) {
      await this.source.more();
    }
    this.#showMore();
  }

  /** @param {string} id put the keyboard on this photograph's tile */
  focus(id) {
    this.tiles.get(id)?.querySelector("button").focus();
  }

  async #load() {
    try {
      const source = this.source;
      await source.more();
      this.#showMore();
      // The observer only speaks when something crosses its edge, so a short first page has to ask by itself.
      if (source === this.source && !source.atEnd && this.#endIsNear()) {
        await this.#load();
      }
    } catch (error) {
      this.handlers.failed(error);
    }
  }

  #showMore() {
    this.more.hidden = this.source.atEnd;
  }

  #endIsNear() {
    return !this.more.hidden && this.more.getBoundingClientRect().top < window.innerHeight + 800;
  }

  #nearEnd(entries) {
    if (entries.some((entry) => entry.isIntersecting) && this.source && !this.source.atEnd) {
      this.#load();
    }
  }

  #watch(entries) {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        this.seen.add(entry.target.dataset.id);
      } else {
        this.seen.delete(entry.target.dataset.id);
      }
    }
  }

  #click(event) {
    const tile = event.target.closest(".tile");
    if (tile) {
      this.handlers.open(tile.dataset.id);
    }
  }

  #put(photo, index, isNew) {
    if (isNew) {
      const tile = makeTile(photo);
      this.tiles.set(photo.id, tile);
      this.list.insertBefore(tile, this.list.children[index] ?? null);
      this.watcher.observe(tile);
    }
    paint(this.tiles.get(photo.id), photo);
  }
}

function makeTile(photo) {
  const note = element(
    "span",
    { class: "tile-note" },
    element("span", { class: "tile-name", dir: "auto" }, baseName(photo.path)),
    element("span", { class: "tile-reason" }),
  );
  const tile = element("li", { class: "tile", "data-id": photo.id }, element("button", { type: "button" }, note));
  setRatio(tile, photo.width, photo.height);
  return tile;
}

function paint(tile, photo) {
  tile.className = ["tile", photo.state, photo.warning && "warned", photo.approved && "approved"].filter(Boolean).join(" ");
  const button = tile.querySelector("button");
  const words = [photo.path, photoWords(photo), warningText(photo), photo.approved && "approved for training"].filter(Boolean);
  button.setAttribute("aria-label", words.join(", "));
  setText(tile.querySelector(".tile-reason"), photo.state === "failed" ? reason(photo) : warningText(photo) || photoWords(photo));
  const url = photo.links.thumbnail ?? photo.links.thumbnail_original;
  const image = button.querySelector("img");
  if (url && image?.getAttribute("src") !== url) {
    image?.remove();
    button.prepend(thumbnail(tile, url));
  }
}

function thumbnail(tile, url) {
  const image = element("img", { alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("load", () => {
    image.classList.add("loaded");
    fit(tile, image);
  });
  image.addEventListener("error", () => image.remove());
  image.src = url;
  return image;
}

/** A scan that its metadata turns upright has another shape than its samples; only such a tile changes its shape. */
function fit(tile, image) {
  const expected = Number(getComputedStyle(tile).getPropertyValue("--ratio"));
  const actual = image.naturalWidth / image.naturalHeight;
  if (Math.abs(actual / expected - 1) > SAME_SHAPE) {
    setRatio(tile, image.naturalWidth, image.naturalHeight);
  }
}
