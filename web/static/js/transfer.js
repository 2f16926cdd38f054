/** The panel that tells how an upload goes: templates/transfer.html. */

import { ApiError } from "./api.js";
import { setBar, setText } from "./dom.js";
import { duration, percent, plural, size } from "./format.js";
import { uploadProblem } from "./upload.js";

const find = (id) => document.getElementById(id);

export class TransferPanel {
  /** @param {{onCancel: () => void, onRetry: () => void}} calls @param {boolean} showsRate beside what is left */
  constructor({ onCancel, onRetry }, showsRate) {
    this.showsRate = showsRate;
    find("transfer-cancel").addEventListener("click", onCancel);
    find("transfer-retry").addEventListener("click", onRetry);
  }

  show(on) {
    find("transfer").hidden = !on;
    find("transfer-bar").hidden = false;
    find("transfer-problem").hidden = true;
    find("transfer-retry").hidden = true;
    find("transfer-cancel").hidden = false;
    setText(find("transfer-cancel"), "Cancel");
  }

  reading(found) {
    this.show(true);
    setText(find("transfer-name"), "Reading the folder");
    setText(find("transfer-numbers"), `${plural(found, "file")} found so far`);
    setBar(find("transfer-bar"), null);
    find("transfer-cancel").hidden = true;
  }

  name(text) {
    setText(find("transfer-name"), text);
  }

  progress({ sentBytes, totalBytes, speed }) {
    const part = totalBytes ? sentBytes / totalBytes : 0;
    const numbers = [`${size(sentBytes)} of ${size(totalBytes)}`, percent(part)];
    if (speed && part < 1) {
      numbers.push(...(this.showsRate ? [`${size(speed.bytesPerS)} a second`] : []), `${duration(speed.leftS)} left`);
    }
    setBar(find("transfer-bar"), part);
    setText(find("transfer-numbers"), part < 1 ? numbers.join(" · ") : "Everything has arrived; the server is storing it safely.");
  }

  problem(text, canRetry) {
    this.show(true);
    find("transfer-bar").hidden = true;
    setText(find("transfer-numbers"), "");
    this.name("That did not work");
    find("transfer-problem").hidden = false;
    setText(find("transfer-problem"), text);
    find("transfer-retry").hidden = !canRetry;
    setText(find("transfer-cancel"), "Close");
  }
}

/** @returns {string} why these files cannot be sent, or nothing */
export function whatIsWrong(files, totalBytes, maxBytes) {
  if (files.length === 0) {
    return "There are no files in what was dropped.";
  }
  return totalBytes > maxBytes ? `This is ${size(totalBytes)}; the server takes at most ${size(maxBytes)} at once.` : "";
}

/** What to tell of an upload that failed. What is no answer of the server's is thrown on. */
export function failureOf(error) {
  if (!(error instanceof ApiError)) {
    throw error;
  }
  return { text: uploadProblem(error), canRetry: error.passing || error.status === 401 || error.status === 507 };
}
