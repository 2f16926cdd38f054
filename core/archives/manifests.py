"""The two lists that come with the results: one for spreadsheets, one for programs."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

ManifestValue = str | int | float | Sequence[str] | Mapping[str, Any] | None
ManifestRow = Mapping[str, ManifestValue]
"""One photograph; a field that is missing or None is empty in the CSV and null in the JSON."""

ORIGINAL_FIELDS = ("path", "state", "code", "message", "size_bytes", "sha256")
NO_RESULT: Mapping[str, ManifestValue] = {
    "result_path": "",
    "result_size_bytes": None,
    "result_sha256": "",
    "model_version": "",
    "seconds": None,
    "warning": "",
    "losses": (),
    "lightness_error_mean": None,
    "lightness_error_max": None,
    "mean_chroma": None,
    "runtime": "",
}
"""What a row says of a result, where there is none."""

MANIFEST_FIELDS = (
    "path",
    "state",
    "code",
    "message",
    "result_path",
    "size_bytes",
    "result_size_bytes",
    "sha256",
    "result_sha256",
    "model_version",
    "seconds",
    "warning",
    "losses",
    "lightness_error_mean",
    "lightness_error_max",
    "mean_chroma",
    "runtime",
    "options",
)
"""In their order in the CSV. The first eleven stand since the first version; new ones come at the end."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
CHUNK_CHARACTERS = 64 * 1024


def manifest_csv(rows: Iterable[ManifestRow]) -> Iterator[bytes]:
    """Yield manifest.csv in pieces: RFC 4180, a header line first, UTF-8 with a byte order mark.

    The mark is there because archivists open the file in a spreadsheet, and Excel takes a UTF-8 file without one for
    the local code page and garbles the names; programs read it with "utf-8-sig", or take manifest.jsonl. Text that a
    spreadsheet would run as a formula gets a leading apostrophe, so a path may differ from the true one by it; the
    JSON has no such change.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    text.write("\ufeff")
    writer.writerow(MANIFEST_FIELDS)
    for row in rows:
        writer.writerow([spreadsheet_cell(row.get(name)) for name in MANIFEST_FIELDS])
        if text.tell() >= CHUNK_CHARACTERS:
            yield flush(text)
    yield flush(text)


def manifest_jsonl(rows: Iterable[ManifestRow]) -> Iterator[bytes]:
    """Yield manifest.jsonl in pieces: UTF-8, one JSON object with all fields in a line for each row, exact."""
    text = io.StringIO(newline="")
    for row in rows:
        json.dump({name: row.get(name) for name in MANIFEST_FIELDS}, text, ensure_ascii=False)
        text.write("\n")
        if text.tell() >= CHUNK_CHARACTERS:
            yield flush(text)
    if text.tell():
        yield flush(text)


def spreadsheet_cell(value: ManifestValue) -> str | int | float | None:
    """Return a value as a cell that no spreadsheet runs as a formula: a list in one line, an object as its JSON."""
    if isinstance(value, Mapping):
        value = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        value = "; ".join(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def flush(text: io.StringIO) -> bytes:
    """Return what was written so far as UTF-8, and forget it."""
    written = text.getvalue().encode("utf-8")
    text.seek(0)
    text.truncate()
    return written
