/** The two forms of the training page: a run now, and runs by schedule. */

import { ApiError, getJson, sendJson } from "./api.js";
import { element, isBusy, setBusy, setText } from "./dom.js";
import { moment } from "./format.js";
import { recipeHint, recipeName } from "./training_words.js";

const RUNS_URL = "/api/v1/training-runs";
const SCHEDULE_URL = "/api/v1/training-schedule";
const MODELS_URL = "/api/v1/models";

const find = (id) => document.getElementById(id);

/** Starts a run. */
export class StartForm {
  constructor() {
    this.form = find("start-form");
    this.recipe = this.form.elements.recipe;
    nameRecipes(this.recipe);
    this.recipe.addEventListener("change", () => this.#show());
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.#show();
  }

  /** Fill in the versions that a run can go on from. @returns {Promise<void>} */
  async load() {
    const { data } = await getJson(MODELS_URL);
    const { parent } = this.form.elements;
    setText(parent.options[0], `The model in use (${data.active})`);
    const others = data.models.filter(({ version }) => version !== data.active);
    parent.append(...others.map(({ version }) => element("option", { value: version }, version)));
  }

  #show() {
    const steps = Number(this.recipe.selectedOptions[0].dataset.steps);
    setText(find("recipe-hint"), recipeHint(this.recipe.value, steps));
    this.form.elements.steps.placeholder = String(steps);
    find("parent-field").hidden = this.recipe.value === "default";
  }

  async #submit(event) {
    event.preventDefault();
    const { recipe, parent, steps, seed } = this.form.elements;
    const options = Object.fromEntries([steps, seed].filter(({ value }) => value !== "").map(({ name, value }) => [name, Number(value)]));
    const wanted = { recipe: recipe.value, options, trigger: "admin" };
    if (parent.value && recipe.value !== "default") {
      wanted.parent = parent.value;
    }
    await attempt(this.form, find("start-problem"), async () => {
      const run = await sendJson("POST", RUNS_URL, wanted);
      location.assign(`/training/runs/${run.id}`);
    });
  }
}

/** Shows and changes the schedule. */
export class ScheduleForm {
  constructor() {
    this.form = find("schedule-form");
    this.options = {};
    nameRecipes(this.form.elements.recipe);
    this.form.elements.preset.addEventListener("change", () => this.#choosePreset());
    this.form.elements.cron.addEventListener("input", ({ target }) => target.removeAttribute("aria-invalid"));
    this.form.addEventListener("submit", (event) => this.#submit(event));
  }

  /** @returns {Promise<void>} */
  async load() {
    const { data } = await getJson(SCHEDULE_URL);
    this.#fill(data);
  }

  #fill(schedule) {
    const { enabled, preset, cron, min_new_photos: fewest, recipe, auto_promote: auto } = this.form.elements;
    enabled.checked = schedule.enabled;
    auto.checked = schedule.auto_promote;
    fewest.value = schedule.min_new_photos;
    cron.value = schedule.cron;
    preset.value = [...preset.options].some(({ value }) => value === schedule.cron) ? schedule.cron : "";
    recipe.value = schedule.recipe || recipe.value;
    this.options = schedule.options;
    this.#showCron();
    setText(find("schedule-next"), nextText(schedule));
  }

  #choosePreset() {
    const { preset, cron } = this.form.elements;
    cron.value = preset.value || cron.value;
    this.#showCron();
  }

  #showCron() {
    const isOwn = this.form.elements.preset.value === "";
    find("cron-field").hidden = !isOwn;
    find("cron-hint").hidden = !isOwn;
  }

  async #submit(event) {
    event.preventDefault();
    const { enabled, cron, min_new_photos: fewest, recipe, auto_promote: auto } = this.form.elements;
    const wanted = {
      enabled: enabled.checked,
      cron: cron.value.trim(),
      min_new_photos: Number(fewest.value),
      auto_promote: auto.checked,
      recipe: recipe.value,
      options: this.options,
    };
    await attempt(this.form, find("schedule-problem"), async () => {
      this.#fill(await sendJson("PUT", SCHEDULE_URL, wanted));
      setText(find("schedule-next"), `Saved. ${find("schedule-next").textContent}`);
    });
    if (find("schedule-problem").dataset.code === "bad_cron") {
      cron.setAttribute("aria-invalid", "true");
      cron.focus();
    }
  }
}

function nextText({ enabled, next_at: nextAt }) {
  if (!enabled) {
    return "Switched off: runs start only by hand.";
  }
  return nextAt ? `Looks next on ${moment(nextAt)}, your time.` : "";
}

function nameRecipes(select) {
  for (const option of select.options) {
    option.textContent = recipeName(option.value);
  }
}

/** Do what a form is for, once at a time; what the server refuses is told beside it. */
async function attempt(form, problem, doing) {
  const button = form.querySelector('[type="submit"]');
  if (isBusy(button)) {
    return;
  }
  setBusy(button, true);
  problem.hidden = true;
  problem.dataset.code = "";
  try {
    await doing();
  } catch (error) {
    if (!(error instanceof ApiError)) {
      throw error;
    }
    problem.hidden = false;
    problem.dataset.code = error.code;
    setText(problem, error.message);
  } finally {
    setBusy(button, false);
  }
}
