"""`gray2hue verify-lightness`: shows that the original's gray levels can be had back from a result."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cli.environment import read_settings
from core.imaging import codec
from core.imaging.comparing import PageComparison, compare, is_lossless

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("original", type=FILE)
@click.argument("result", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def verify_lightness(ctx: click.Context, original: Path, result: Path, as_json: bool) -> None:
    """Show that the gray levels of ORIGINAL can be had back from the lightness of RESULT.

    Of a lossless result with 8 bits, every pixel's lightness has to be nearest to the original's gray level; with 16
    bits, lightness may differ by 0.001 on average, in CIE L from 0 to 100. The exit code is 0 if that is so. Results in
    a lossy format are only measured. A visible mark (--mark) changes the lightness where it stands.
    """
    settings = read_settings()
    limits = codec.ImageLimits(max_pixels=settings.max_pixels, max_bytes=settings.max_entry_bytes)
    with original.open("rb") as before, result.open("rb") as after:
        scans = codec.decode(before, limits), codec.decode(after, limits)
    pages, lossless = compare(*scans), is_lossless(scans[1])
    kept = all(page.is_kept for page in pages)
    if as_json:
        told = {"original": str(original), "result": str(result), "lossless": lossless, "kept": kept}
        click.echo(json.dumps({**told, "pages": [asdict(page) for page in pages]}, ensure_ascii=False, indent=2))
    else:
        _print_table(pages)
        click.echo(verdict(kept, lossless))
    ctx.exit(0 if kept or not lossless else 1)


def verdict(kept: bool, lossless: bool) -> str:
    """The outcome in one sentence."""
    if kept:
        return "The original's levels can be had back from the result's lightness."
    if lossless:
        return "The result's lightness is not the original's."
    return "The result is in a lossy format: its lightness is near the original's, but not the same."


def _print_table(pages: Sequence[PageComparison]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("PAGE", "PIXELS", "BITS", "MEAN |dL|", "MAX |dL|", "LEVELS BACK"):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, page in enumerate(pages, 1):
        size = f"{page.width} x {page.height}"
        errors = (f"{page.mean:.5f}", f"{page.largest:.5f}")
        table.add_row(str(number), size, str(page.bit_depth), *errors, _levels_back(page))
    Console(markup=False, highlight=False).print(table)


def _levels_back(page: PageComparison) -> str:
    if page.other_levels is None:
        return "-"
    if page.other_levels == 0:
        return "100 %"
    # Not rounded up: a single pixel of millions is not 100 %.
    share = (page.pixels - page.other_levels) / page.pixels
    return f"{min(share * 100, 99.999):.3f} %, all but {page.other_levels:,}"
