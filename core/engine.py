"""From a file to its colorized file: decode, assess, colorize, encode. What worker and benchmark run for each photo."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from PIL import Image

from core.boundaries import OPEN, Boundaries, Boundary
from core.colorizer import Colorized, Colorizer
from core.errors import ImageError
from core.imaging import codec
from core.imaging.assessment import LITTLE_COLOR, assess
from core.imaging.mark import Marked
from core.imaging.merging import LightnessError
from core.imaging.output import ColorPage, Output, Provenance
from core.imaging.preview import ReducedPage, reduce_original
from core.imaging.scan import BYTES_PER_PIXEL, MEDIA_TYPES, Format, ImageLimits, Page, Probe, Scan
from core.machine import usable_cores
from core.options import JobOptions

REASONS = {
    "already_color": "It is in color already; the option color_input=colorize would color it anew.",
    "no_tones": "It has no tones between dark and light that could carry color: line art, text, or a blank page.",
}


@dataclass(frozen=True)
class Skipped:
    """A photograph that is left as it is. `code` is already_color or no_tones, `reason` a sentence."""

    code: str
    reason: str


@dataclass(frozen=True, eq=False)
class Processed:
    """What came out of a photograph, beside the file.

    Args:
        format: of the result.
        losses: what the result lacks of the original, in words.
        warning: "little_color", or "".
        lightness_error: of the pixels before a lossy coding.
        mean_chroma: that the network predicted.
        original: a small upright copy of the original's first page, if asked for.
        result: likewise of the result's.
    """

    format: Format
    losses: tuple[str, ...]
    warning: str
    lightness_error: LightnessError
    mean_chroma: float
    original: Image.Image | None
    result: Image.Image | None

    @property
    def media_type(self) -> str:
        """Of the result."""
        return MEDIA_TYPES[self.format]


class MemoryGate:
    """Bounds the memory of photographs that are worked on at once. One that needs more than all of it goes alone.

    They are let in in the order they came, so that a large one does not wait for ever.

    Args:
        capacity_bytes: that may be in use at once.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._used_bytes = 0
        self._waiting: list[object] = []
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size_bytes: int) -> Iterator[None]:
        """Wait until there is room, and hold it during the block."""
        ticket = object()
        wanted_bytes = min(size_bytes, self._capacity_bytes)
        with self._changed:
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._waiting[0] is ticket and self._has_room(wanted_bytes))
            self._waiting.pop(0)
            self._used_bytes += wanted_bytes
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._used_bytes -= wanted_bytes
                self._changed.notify_all()

    def _has_room(self, wanted_bytes: int) -> bool:
        return self._used_bytes + wanted_bytes <= self._capacity_bytes


def memory_needed(found: Probe, result: Format) -> int:
    """Bytes that a photograph takes while it is worked on, about, from its header and the format of its result."""
    return found.held_pixels * max(BYTES_PER_PIXEL[kind][found.bit_depth] for kind in (found.format, result))


def photo_threads(colorizer: Colorizer) -> int:
    """How many photographs are best in hand at once: one for each core or stream of the network, and two that wait.

    With two, a core hardly ever has nothing to do: where one waits for a file or Python's lock, there is another.
    """
    return max(usable_cores(), colorizer.runtime.concurrency) + 2


@dataclass(frozen=True)
class Engine:
    """Colorizes files; may be used by several threads at once.

    Args:
        limits: of what is decoded.
        gate: bounds the memory of what is worked on at once.
        software: name and version of the program, for the results' labels.
        preview_edge_px: longest edge of the small copies, None for none.
        boundaries: are told when a file is decoded, and when the network is done with it.
    """

    limits: ImageLimits
    gate: MemoryGate
    software: str
    preview_edge_px: int | None = None
    boundaries: Boundaries = OPEN

    def process(
        self,
        colorizer: Colorizer,
        source: BinaryIO,
        target: BinaryIO,
        options: JobOptions,
        colorized_at: datetime,
        about: str = "",
    ) -> Processed | Skipped:
        """Colorize one file.

        Args:
            colorizer: of the model version that is wanted.
            source: the original, seekable.
            target: where the result is written; empty, seekable, readable.
            options: what was asked for.
            colorized_at: what the result's label says; the same for the same photograph, or its bytes differ.
            about: the photo's id, for the boundaries.

        Raises:
            ImageError: the original cannot be decoded, or the result not be written in the format asked for.
            CheckpointError: bad_prediction, the model gave no numbers.
            MemoryError: there is not enough even for it alone.
        """
        found = codec.probe(source, self.limits)
        if found is None:
            raise ImageError("unsupported_format", "The file is no image of a known kind.")
        result = codec.result_format(found.format, codec.WANTED[options.output_format], found.pages)
        with self.gate.hold(memory_needed(found, result)):
            scan = codec.decode(source, self.limits)
            self.boundaries.reach(Boundary.DECODED, about)
            left = [page_to_leave(page, options) for page in scan.pages]
            if all(left):
                code = "already_color" if "already_color" in left else "no_tones"
                return Skipped(code, REASONS[code])
            wanted = [not code for code in left]
            colorized = colorizer.colorize(scan, options.saturation, options.network_edge_px, wanted)
            self.boundaries.reach(Boundary.NETWORK_DONE, about)
            provenance = Provenance(self.software, colorizer.version, colorized_at)
            return self._render(scan, colorized, left, target, options, provenance)

    def _render(
        self,
        scan: Scan,
        colorized: Colorized,
        left: list[str],
        target: BinaryIO,
        options: JobOptions,
        provenance: Provenance,
    ) -> Processed:
        kept = frozenset(number for number, code in enumerate(left) if code)
        output = Output(codec.WANTED[options.output_format], options.quality, provenance, kept)
        pages: list[ColorPage] = list(colorized.pages)
        if options.mark:
            scanned = zip(pages, scan.pages, left, strict=True)
            pages = [page if code else Marked(page, scan_page) for page, scan_page, code in scanned]
        reduced = ReducedPage(pages[0], self.preview_edge_px) if self.preview_edge_px else None
        losses = codec.encode([reduced or pages[0], *pages[1:]], scan, output, target)
        return Processed(
            format=codec.result_format(scan.format, output.format, len(scan.pages)),
            losses=tuple(dict.fromkeys((*scan.losses, *losses, *colorized.losses, *_kept_pages(left)))),
            warning=warning_of(colorized, options),
            lightness_error=colorized.lightness_error,
            mean_chroma=colorized.mean_chroma,
            original=reduce_original(scan.first, self.preview_edge_px) if self.preview_edge_px else None,
            result=reduced.reduction.image(scan.orientation) if reduced else None,
        )


def page_to_leave(page: Page, options: JobOptions) -> str:
    """The code of why a page is to be left as it is: already_color or no_tones; "" if it is to be colorized."""
    kind = assess(page).kind
    if kind == "color":
        return "" if options.color_input == "colorize" else "already_color"
    return "no_tones" if kind == "no_tones" else ""


def _kept_pages(left: Sequence[str]) -> list[str]:
    return [f"color on page {number}, left as it is: {code}" for number, code in enumerate(left, 1) if code]


def warning_of(colorized: Colorized, options: JobOptions) -> str:
    """little_color where the model found little to color, unless none was asked for."""
    return "little_color" if colorized.mean_chroma < LITTLE_COLOR and options.saturation > 0 else ""
