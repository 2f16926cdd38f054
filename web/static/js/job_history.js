/** What happened to a job, told when somebody asks for it. */

import { getJson } from "./api.js";
import { element, setText } from "./dom.js";
import { localMoment } from "./format.js";
import { showRows } from "./rows.js";
import { eventWords, whoDid } from "./words.js";

/** A folded list of a job's own changes; it asks the server only while it is open. */
export class JobHistory {
  /**
   * @param {HTMLDetailsElement} details
   * @param {string} url the job's `links.events`
   */
  constructor(details, url) {
    this.details = details;
    this.url = url;
    this.events = [];
    this.loading = Promise.resolve();
    details.addEventListener("toggle", () => this.update());
  }

  /** Look for what has come since; one look at a time, so that none shows anything twice. */
  update() {
    this.loading = this.loading.then(() => this.#load());
    return this.loading;
  }

  async #load() {
    if (!this.details.open) {
      return;
    }
    try {
      let url = `${this.url}?of=job&limit=500&after=${this.events.at(-1)?.id ?? 0}`;
      while (url) {
        const { data } = await getJson(url);
        this.events.push(...data.events);
        url = data.next;
      }
      this.#tell("");
    } catch {
      this.#tell("The history cannot be loaded. Close and open it to try again.");
    }
    showRows(this.details.querySelector("ol"), this.events, ({ id }) => String(id), makeRow, () => undefined);
  }

  #tell(text) {
    const problem = this.details.querySelector("p");
    problem.hidden = !text;
    setText(problem, text);
  }
}

function makeRow(event) {
  return element(
    "li",
    {},
    element("time", { datetime: event.at }, localMoment(event.at)),
    element("span", {}, eventWords(event)),
    element("span", { class: "history-actor" }, whoDid(event)),
  );
}
