/** Where photographs come in: dropped anywhere on the page, or chosen from the disk. */

/**
 * Everything below what was dropped. Must be called within the drop event itself, since the browser takes the list back afterwards.
 * @param {DataTransfer} dropped
 * @param {(count: number) => void} [onFound] told how many files were found so far
 * @returns {Promise<{file: File, path: string}[]>} with the paths inside the dropped folders
 */
export async function readDropped(dropped, onFound = () => undefined) {
  const entries = [...dropped.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  for (const entry of entries) {
    await walk(entry, found, onFound);
  }
  return found;
}

/**
 * The files of a picker, with their paths inside the chosen folder.
 * @param {FileList} files
 * @returns {{file: File, path: string}[]}
 */
export function readPicked(files) {
  return [...files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}

/** The zone itself and its two pickers; drops are caught on the whole page. */
export class Dropzone {
  /**
   * @param {{zone: HTMLElement, files: HTMLInputElement, folder: HTMLInputElement}} parts
   * @param {{onFiles: (files: {file: File, path: string}[]) => void, onReading: (count: number) => void, onProblem: (error: Error) => void}} handlers
   */
  constructor({ zone, files, folder }, handlers) {
    this.zone = zone;
    this.handlers = handlers;
    this.accepting = true;
    for (const picker of [files, folder]) {
      picker.addEventListener("change", () => this.#picked(picker));
    }
    if (!("webkitdirectory" in folder)) {
      folder.remove();
      zone.querySelector(`label[for="${folder.id}"]`).remove();
    }
    document.addEventListener("dragover", (event) => this.#over(event));
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) {
        this.#highlight(false);
      }
    });
    document.addEventListener("drop", (event) => this.#drop(event));
  }

  #picked(picker) {
    const files = readPicked(picker.files);
    picker.value = "";
    if (files.length) {
      this.handlers.onFiles(files);
    }
  }

  #over(event) {
    if (event.dataTransfer.types.includes("Files")) {
      event.preventDefault();
      event.dataTransfer.dropEffect = this.accepting ? "copy" : "none";
      this.#highlight(this.accepting);
    }
  }

  async #drop(event) {
    if (!event.dataTransfer.types.includes("Files")) {
      return;
    }
    event.preventDefault();
    this.#highlight(false);
    if (!this.accepting) {
      return;
    }
    try {
      this.handlers.onFiles(await readDropped(event.dataTransfer, this.handlers.onReading));
    } catch (error) {
      this.handlers.onProblem(error);
    }
  }

  #highlight(on) {
    this.zone.classList.toggle("over", on);
  }
}

async function walk(entry, found, onFound) {
  if (entry instanceof File) {
    found.push({ file: entry, path: entry.name });
  } else if (entry?.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, path: entry.fullPath.replace(/^\/+/, "") });
    onFound(found.length);
  } else if (entry?.isDirectory) {
    for (const child of await children(entry)) {
      await walk(child, found, onFound);
    }
  }
}

/** A reader gives a folder's entries about a hundred at a time, and an empty list at the end. */
async function children(directory) {
  const reader = directory.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) {
      return all;
    }
    all.push(...some);
  }
}
