/** Building elements. Text always goes in as text, so nothing a file is called can become markup. */

/**
 * Make an element.
 * @param {string} tag
 * @param {Object<string, unknown>} [attributes] a true value sets an empty attribute, false and null set none
 * @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value === true ? "" : String(value));
    }
  }
  made.append(...children);
  return made;
}

/**
 * Set an element's text, touching the page only where it differs, so that a screen reader is not told the same twice.
 * @param {HTMLElement} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) {
    target.textContent = text;
  }
}

/**
 * Mark a button whose doing is under way. One that is disabled would lose the keyboard's focus.
 * @param {HTMLButtonElement} button
 * @param {boolean} busy
 */
export function setBusy(button, busy) {
  button.setAttribute("aria-disabled", String(busy));
}

/** @param {HTMLButtonElement} button @returns {boolean} whether it was marked so */
export function isBusy(button) {
  return button.getAttribute("aria-disabled") === "true";
}

/**
 * Show how far something is on a bar.
 * @param {HTMLElement} bar
 * @param {number|null} part 0 to 1; null when nobody knows
 * @param {number} [problems] 0 to 1, what went wrong, drawn after the part
 */
export function setBar(bar, part, problems = 0) {
  bar.classList.toggle("unknown", part === null);
  bar.style.setProperty("--part", String(part ?? 0));
  bar.style.setProperty("--problems", String(problems));
  if (part === null) {
    bar.removeAttribute("aria-valuenow");
  } else if (bar.getAttribute("role") === "progressbar") {
    bar.setAttribute("aria-valuenow", String(Math.floor((part + problems) * 100)));
  }
}

/**
 * Put the ratio of width to height where the style sheets expect it.
 * @param {HTMLElement} target
 * @param {number|null} width
 * @param {number|null} height
 */
export function setRatio(target, width, height) {
  if (width && height) {
    target.style.setProperty("--ratio", (width / height).toFixed(4));
  }
}
