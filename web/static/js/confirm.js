/** A question with two answers, asked in a dialog. */

import { element } from "./dom.js";

const MAX_REASON_CHARACTERS = 500;

/**
 * Ask before something that cannot be undone.
 * @param {string} question
 * @param {string} yes what the button says that does it
 * @param {string} [no]
 * @returns {Promise<boolean>} false too when the dialog is closed by Escape
 */
export async function confirmed(question, yes, no = "Go back") {
  return (await ask(question, yes, no)) === "yes";
}

/**
 * Ask before something that is written down, and for the reason why it is done.
 * @param {string} question
 * @param {string} yes what the button says that does it
 * @returns {Promise<string|null>} the reason, maybe "", or null when it shall not be done
 */
export async function confirmedWithReason(question, yes) {
  const field = element("input", { type: "text", maxlength: MAX_REASON_CHARACTERS, autocomplete: "off", autofocus: true });
  const label = element("label", { class: "field" }, element("span", {}, "Why (kept in the history; may stay empty)"), field);
  return (await ask(question, yes, "Go back", label)) === "yes" ? field.value.trim() : null;
}

function ask(question, yes, no, ...fields) {
  return new Promise((resolve) => {
    // Only one of the two submits the form, so that the Enter key in a field means yes.
    const back = element("button", { class: "button", type: "button", autofocus: fields.length === 0 }, no);
    const go = element("button", { class: "button primary", value: "yes" }, yes);
    const form = element("form", { method: "dialog" }, ...fields, element("div", { class: "choices" }, back, go));
    const dialog = element("dialog", { class: "ask", "aria-label": question }, element("p", {}, question), form);
    back.addEventListener("click", () => dialog.close("no"));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
