/** The page that sets a password: tells at once when the two differ. */

const form = document.getElementById("setup-form");
const { password, password_again: again } = form.elements;

form.addEventListener("input", () => {
  const differs = again.value !== "" && again.value !== password.value;
  again.setCustomValidity(differs ? "The two passwords are not the same." : "");
});
