"""`gray2hue bench`: how fast this machine colorizes, against what it could at most, and against the seed's way."""

import json
from pathlib import Path

import click

from cli.environment import read_settings
from cli.options import note

PIXELS = 1_000_000


@click.command()
@click.argument("photos", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="FOLDER")
@click.option("--count", default=24, show_default=True, type=click.IntRange(min=1), help="Photographs at most.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1), help="Times that each is measured.")
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here too."
)
def bench(photos: Path, count: int, rounds: int, json_path: Path | None) -> None:
    """Measure speed on the photographs of FOLDER, made gray and about 1 megapixel large, in one run.

    (a) a plain way: U-Net with last_cross in float32, one at a time, scikit-image's conversions, squashed to 256 x 256;
    (b) Gray2Hue's network alone; (c) decoding and encoding alone; (d) Gray2Hue from file to file at full size.
    """
    from cli.measuring import measure, table

    figures = measure(read_settings(), photos, count, rounds, PIXELS, note)
    click.echo(table(figures))
    if json_path is not None:
        json_path.write_text(json.dumps(figures, indent=2) + "\n")
