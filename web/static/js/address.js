/** The address of what is shown, where that changes without a page being loaded. */

let shown = location.pathname;

/**
 * Give what is shown from now on an address of its own.
 * @param {string} path
 */
export function showAs(path) {
  history.pushState(null, "", path);
  shown = location.pathname;
}

// Going back or forth between such addresses changes only the address by itself, also after a reload.
window.addEventListener("popstate", () => {
  if (location.pathname !== shown) {
    location.reload();
  }
});
