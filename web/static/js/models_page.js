/** The models' page: what each version is worth, which one is in use, and changing that. */

import { ApiError, getJson, sendJson } from "./api.js";
import { confirmedWithReason } from "./confirm.js";
import { element, setText } from "./dom.js";
import { moment } from "./format.js";
import { renderMarkdown } from "./markdown.js";
import { connectionText, poll } from "./poll.js";
import { showRows } from "./rows.js";
import { METRICS, metricValue, promotionWords, reasonWords, sourceWords } from "./training_words.js";

const MODELS_URL = "/api/v1/models";
const LOOK_EVERY_MS = 10000;
const FACTS = ["de00", "cf_error", "cf", "auc_balanced", "psnr", "ssim"];

const find = (id) => document.getElementById(id);

class ModelsPage {
  constructor() {
    this.mayChange = find("models-page").dataset.mayChange === "yes";
    find("roll-back").addEventListener("click", () => this.#rollBack());
  }

  follow() {
    return poll(
      () => this.#look(),
      (error) => tell("connection", error ? connectionText(error) : ""),
    );
  }

  async #look() {
    const { data, changed } = await getJson(MODELS_URL);
    if (changed || this.behind) {
      this.#render(data);
    }
    return LOOK_EVERY_MS;
  }

  #render(data) {
    this.behind = false;
    this.earlier = beforeThat(data.history);
    const sorted = [...data.models].sort((one, other) => rank(other) - rank(one));
    showRows(
      find("models"),
      sorted,
      ({ version }) => version,
      (model) => this.#row(model),
      (row, model) => this.#paint(row, model),
    );
    find("roll-back").hidden = !this.mayChange || !this.earlier;
    setText(find("roll-back"), `Go back to ${this.earlier}`);
    find("history").replaceChildren(...data.history.map(promotionRow));
  }

  #row(model) {
    const attributes = { class: "button small", type: "button", "aria-label": `Use ${model.version}` };
    const use = element("button", attributes, "Use this model");
    const mark = element("span", { class: "model-mark" });
    use.addEventListener("click", () => this.#promote(model.version));
    return element(
      "li",
      { class: "model-row" },
      element("div", { class: "model-head" }, element("h2", { class: "model-name" }, model.version), mark, use),
      element("p", { class: "hint" }, `${sourceWords(model)} · ${moment(model.created_at)}`),
      numbersOf(model.metrics),
      cardOf(model),
    );
  }

  #paint(row, model) {
    row.classList.toggle("active", model.is_active);
    row.classList.toggle("candidate", model.is_candidate);
    setText(row.querySelector(".model-mark"), model.is_active ? "In use" : model.is_candidate ? "Waits for your decision" : "");
    const use = row.querySelector("button");
    use.hidden = !this.mayChange || model.is_active;
    use.classList.toggle("primary", model.is_candidate);
  }

  async #promote(version) {
    const question = `Give ${version} to all new jobs? Jobs that are there already keep the model they have.`;
    const reason = await confirmedWithReason(question, "Use it");
    if (reason !== null) {
      await this.#change(`${MODELS_URL}/${encodeURIComponent(version)}/promotion`, reason);
    }
  }

  async #rollBack() {
    const question = `Go back to ${this.earlier} for all new jobs? The model in use now stays in the list.`;
    const reason = await confirmedWithReason(question, "Go back to it");
    if (reason !== null) {
      await this.#change(`${MODELS_URL}/rollback`, reason);
    }
  }

  async #change(url, reason) {
    try {
      tell("models-problem", "");
      const data = await sendJson("POST", url, { reason });
      this.#render(data);
      tell("models-told", `${data.active} is in use. New jobs get it within seconds.`);
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      this.behind = true;
      tell("models-problem", error.message);
    }
  }
}

function rank({ is_active: isActive, is_candidate: isCandidate }) {
  return isActive ? 2 : isCandidate ? 1 : 0;
}

/** What going back leads to: what was in use before the last change that was not undone itself. "" for nothing. */
function beforeThat(history) {
  const standing = [];
  for (const { kind, version } of [...history].reverse()) {
    if (kind === "rollback") {
      standing.pop();
    } else {
      standing.push(version);
    }
  }
  return standing.at(-2) ?? "";
}

function numbersOf(metrics) {
  const known = FACTS.filter((metric) => typeof metrics[metric] === "number");
  if (known.length === 0) {
    return element("p", { class: "hint" }, "Not measured here.");
  }
  const pairs = known.map((metric) => {
    const { name, says } = METRICS[metric];
    return element("div", {}, element("dt", { title: says }, name), element("dd", {}, metricValue(metric, metrics[metric])));
  });
  return element("dl", { class: "model-numbers" }, ...pairs);
}

function cardOf(model) {
  const body = element("div", { class: "card" }, ...renderMarkdown(model.card));
  const hash = element("p", { class: "hint hash" }, "SHA-256 of its weights: ", element("code", {}, model.sha256));
  return element("details", { class: "more-options" }, element("summary", {}, "About this model"), body, hash);
}

function promotionRow(promotion) {
  const reason = promotion.reason ? element("q", {}, reasonWords(promotion.reason)) : "";
  const at = element("time", { datetime: promotion.created_at }, moment(promotion.created_at));
  return element("li", {}, at, element("p", {}, promotionWords(promotion), " ", reason));
}

function tell(id, text) {
  find(id).hidden = !text;
  setText(find(id), text);
}

new ModelsPage().follow();
