/** The API keys' page: copying the new key, and asking before one is revoked. */

import { confirmed } from "./confirm.js";

async function copyKey(field, told) {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    told.textContent = "Copied.";
  } catch {
    // Without HTTPS a browser offers no clipboard; the key stands selected, ready for the keyboard.
    told.textContent = "Selected. Press Ctrl+C (or Command+C) to copy it.";
  }
}

const copy = document.getElementById("copy-key");
copy?.addEventListener("click", () => {
  copyKey(document.getElementById("new-key"), document.getElementById("copy-result"));
});

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (await confirmed(form.dataset.confirm, "Revoke it")) {
      form.submit();
    }
  });
}
