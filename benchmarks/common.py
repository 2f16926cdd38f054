"""What every benchmark shares: photographs, the machine's name, and results as JSON and Markdown."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cli.measuring import processor
from core.imaging.arrays import Samples
from core.machine import usable_cores

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"})
Row = dict[str, Any]


def arguments(description: str) -> argparse.Namespace:
    """A folder of photographs, how many of them, and where the results go."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="color photographs")
    parser.add_argument("--count", type=int, default=10_000, help="photographs at most")
    parser.add_argument("--out", type=Path, help="results as PATH.json and PATH.md")
    return parser.parse_args()


def photographs(folder: Path, count: int) -> Iterator[tuple[str, Samples]]:
    """Name and pixels, uint8 (H, W, 3), of the folder's photographs in the order of their names."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    for path in paths[:count]:
        with Image.open(path) as image:
            yield path.name, np.asarray(image.convert("RGB"))


def report(title: str, rows: Sequence[Row], out: Path | None, notes: Sequence[str] = ()) -> None:
    """Print the rows as Markdown; write them beside `out` as JSON and Markdown too."""
    machine = f"{usable_cores()} cores ({processor()})"
    columns = list(rows[0])
    lines = [f"# {title}", "", f"Measured on {machine}.", *notes, ""]
    lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(row[column]) for column in columns) + " |" for row in rows]
    text = "\n".join(lines) + "\n"
    print(text)  # noqa: T201 - what a benchmark is run for
    if out is not None:
        out.with_suffix(".md").write_text(text)
        figures = {"title": title, "machine": machine, "notes": list(notes), "rows": list(rows)}
        out.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
