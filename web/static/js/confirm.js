/** A question with two answers, asked in a dialog. */

import { element } from "./dom.js";

/**
 * Ask before something that cannot be undone.
 * @param {string} question
 * @param {string} yes what the button says that does it
 * @param {string} [no]
 * @returns {Promise<boolean>} false too when the dialog is closed by Escape
 */
export function confirmed(question, yes, no = "Go back") {
  return new Promise((resolve) => {
    const form = element(
      "form",
      { method: "dialog", class: "choices" },
      element("button", { class: "button", value: "no", autofocus: true }, no),
      element("button", { class: "button primary", value: "yes" }, yes),
    );
    const dialog = element("dialog", { class: "ask", "aria-label": question }, element("p", {}, question), form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
