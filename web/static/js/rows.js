/** Lists whose rows stay where they are while their texts change, so that the keyboard keeps its place. */

/**
 * Bring a list to what there is now.
 * @template T
 * @param {HTMLElement} list
 * @param {T[]} items in their order
 * @param {(item: T) => string} key
 * @param {(item: T) => HTMLElement} make a row for a new item
 * @param {(row: HTMLElement, item: T) => void} update
 */
export function showRows(list, items, key, make, update) {
  const rows = new Map([...list.children].map((row) => [row.dataset.key, row]));
  items.forEach((item, index) => {
    const name = key(item);
    const row = rows.get(name) ?? make(item);
    row.dataset.key = name;
    rows.delete(name);
    update(row, item);
    if (list.children[index] !== row) {
      list.insertBefore(row, list.children[index] ?? null);
    }
  });
  rows.forEach((row) => row.remove());
}
