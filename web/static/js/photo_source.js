/** A job's photographs in some states, loaded page by page and kept in the order of the upload. */

import { getJson } from "./api.js";

const PAGE = 60;
const LARGEST_PAGE = 500;
const VISIBLE = [({ state }) => state, ({ links }) => links.preview, ({ approved }) => approved];

/** Loaded photographs, sorted by position. Listeners hear of each one that is new or has changed. */
export class PhotoSource {
  /**
   * @param {string} url the job's `links.photos`
   * @param {string[]} states
   * @param {boolean} [warned] only those with a warning
   */
  constructor(url, states, warned = false) {
    this.url = url;
    this.states = states;
    this.warned = warned;
    this.photos = [];
    this.atEnd = false;
    this.listeners = new Set();
    this.known = new Map();
    this.last = Promise.resolve();
  }

  /** @param {(photo: object, index: number, isNew: boolean) => void} listener */
  onPhoto(listener) {
    this.listeners.add(listener);
  }

  /** @param {string} id @returns {object|undefined} */
  photo(id) {
    return this.known.get(id);
  }

  /** Load the next page. @returns {Promise<void>} */
  more() {
    return this.#inTurn(async () => {
      const { photos, next } = await this.#page(this.#lastPosition(), PAGE);
      this.atEnd = !next;
      photos.forEach((photo) => this.put(photo));
    });
  }

  /**
   * Look again at those loaded from one position to another.
   * @param {number} first
   * @param {number} last
   * @returns {Promise<void>}
   */
  refresh(first, last) {
    return this.#inTurn(async () => {
      let after = first - 1;
      while (after < last) {
        const limit = Math.min(LARGEST_PAGE, Math.max(PAGE, last - after));
        const { photos, next } = await this.#page(after, limit);
        photos.filter((photo) => photo.position <= last).forEach((photo) => this.put(photo));
        after = next && photos.length ? photos[photos.length - 1].position : last;
      }
    });
  }

  /** @param {string} id @returns {number} its place among those loaded */
  indexOf(id) {
    const photo = this.known.get(id);
    return photo ? this.#place(photo.position) : -1;
  }

  /** @param {object} photo one of the source's photographs, as it is now */
  put(photo) {
    const before = this.known.get(photo.id);
    if (before && VISIBLE.every((look) => look(before) === look(photo))) {
      return;
    }
    const index = this.#place(photo.position);
    this.photos.splice(index, before ? 1 : 0, photo);
    this.known.set(photo.id, photo);
    this.listeners.forEach((listener) => listener(photo, index, !before));
  }

  /** One request at a time, so that two looks never mix. A look that fails does not stop the next one. */
  #inTurn(look) {
    const turn = this.last.then(look);
    this.last = turn.catch(() => undefined);
    return turn;
  }

  async #page(after, limit) {
    const query = new URLSearchParams(this.states.map((state) => ["state", state]));
    if (this.warned) {
      query.set("warned", "true");
    }
    query.set("after", String(after));
    query.set("limit", String(limit));
    const { data } = await getJson(`${this.url}?${query}`);
    return data;
  }

  #lastPosition() {
    return this.photos.length ? this.photos[this.photos.length - 1].position : -1;
  }

  /** The index of the first loaded photograph at or after a position. */
  #place(position) {
    let low = 0;
    let high = this.photos.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.photos[middle].position < position) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
