import hashlib
import io
import json
import multiprocessing
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from skimage.color import lab2rgb, rgb2lab

from core.errors import MemberError, StateError, StorageError
from core.training.config import NO_AUGMENTATION, AugmentationConfig
from core.training.data import Batches, PreparedPhotos, SourcePhoto
from core.training.preparing import INDEX_NAME, PIXELS_NAME
from core.training.resampling import resampled, shrunk

EDGE_PX = 96
EVERYTHING = AugmentationConfig(grain=1, blur=1, fade=1, gamma=1, scratches=1, jpeg=1)


def source(name: str, content: bytes) -> SourcePhoto:
    return SourcePhoto(name, partial(bytes, content))


def failing(name: str, error: Exception) -> SourcePhoto:
    def read() -> bytes:
        raise error

    return SourcePhoto(name, read)


@pytest.fixture
def sources(photographs: dict[str, bytes]) -> list[SourcePhoto]:
    return [source(name, content) for name, content in photographs.items()]


@pytest.fixture
def prepared(sources: list[SourcePhoto], tmp_path: Path) -> PreparedPhotos:
    return PreparedPhotos.build(tmp_path / "prepared", sources, EDGE_PX)


def png(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


def test_photographs_are_kept_in_order_with_their_short_side_shrunk(prepared, photographs):
    assert prepared.names == list(photographs)
    assert prepared.counts == {"taken": 4}
    for number, name in enumerate(photographs):
        rgb = prepared.rgb(number)
        assert min(rgb.shape[:2]) == EDGE_PX
        np.testing.assert_array_equal(rgb, shrunk(getattr(data, name)(), EDGE_PX))


def test_small_photographs_are_not_enlarged(photographs, tmp_path):
    prepared = PreparedPhotos.build(tmp_path, [source("coffee", photographs["coffee"])], 1000)
    np.testing.assert_array_equal(prepared.rgb(0), data.coffee())


def test_what_is_left_out_is_counted_by_its_code(sources, photographs, tmp_path):
    gray = np.dstack([np.asarray(Image.fromarray(data.coffee()).convert("L"))] * 3)
    others = [
        source("again", photographs["coffee"]),
        source("smaller", png(shrunk(data.coffee(), 200))),
        source("gray", png(gray)),
        source("text", b"no image"),
        source("nothing", b""),
        failing("encrypted", MemberError("encrypted", "x: is encrypted")),
        failing("gone", OSError("gone")),
    ]
    prepared = PreparedPhotos.build(tmp_path, sources + others, EDGE_PX)
    assert prepared.counts == {
        "taken": 4,
        "duplicate": 2,
        "gray": 1,
        "unsupported_format": 1,
        "empty_file": 1,
        "encrypted": 1,
        "unreadable": 1,
    }


def test_unfiltered_all_that_can_be_read_is_taken(sources, tmp_path):
    prepared = PreparedPhotos.build(tmp_path, [*sources, *sources], EDGE_PX, filtered=False)
    assert prepared.counts == {"taken": 8}


def test_the_snapshot_is_a_hash_of_what_was_taken_in_order(prepared, photographs, sources, tmp_path):
    hashes = "".join(hashlib.sha256(content).hexdigest() for content in photographs.values())
    assert prepared.sha256 == hashlib.sha256(hashes.encode()).hexdigest()
    with_dull = PreparedPhotos.build(tmp_path / "other", [source("text", b"no image"), *sources], EDGE_PX)
    assert with_dull.sha256 == prepared.sha256
    assert PreparedPhotos.build(tmp_path / "turned", sources[::-1], EDGE_PX).sha256 != prepared.sha256


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_the_same_input_is_not_prepared_again(sources, tmp_path):
    sources = [*sources, source("text", b"no image"), failing("encrypted", MemberError("encrypted", "x"))]
    first = PreparedPhotos.build(tmp_path, sources, EDGE_PX)
    before = contents(tmp_path)
    again = PreparedPhotos.build(tmp_path, sources, EDGE_PX)
    assert contents(tmp_path) == before
    assert again.counts == first.counts
    np.testing.assert_array_equal(again.rgb(3), first.rgb(3))


@pytest.mark.parametrize("change", ["fewer", "more", "other order", "another size", "unfiltered"])
def test_another_input_gives_what_a_fresh_folder_would_have(sources, photographs, tmp_path, change):
    PreparedPhotos.build(tmp_path / "used", sources[:3], EDGE_PX)
    changed = {
        "fewer": (sources[:2], EDGE_PX, True),
        "more": (sources, EDGE_PX, True),
        "other order": ([sources[0], sources[2], sources[1]], EDGE_PX, True),
        "another size": (sources[:3], 64, True),
        "unfiltered": ([sources[0], sources[0]], EDGE_PX, False),
    }
    some, edge_px, filtered = changed[change]
    built = [PreparedPhotos.build(tmp_path / name, some, edge_px, filtered=filtered) for name in ("used", "fresh")]
    assert built[0].entries == built[1].entries
    for name in (PIXELS_NAME, INDEX_NAME):
        assert (tmp_path / "used" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()


def test_photographs_that_were_moved_are_not_prepared_again(sources, photographs, tmp_path):
    PreparedPhotos.build(tmp_path, sources, EDGE_PX)
    before = contents(tmp_path)
    moved = [source(f"elsewhere/{name}", content) for name, content in photographs.items()]
    PreparedPhotos.build(tmp_path, moved, EDGE_PX)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("change", ["none", "fewer", "more", "other order", "another size", "unfiltered", "no more"])
def test_what_a_run_has_begun_with_is_used_or_refused_but_not_replaced(sources, tmp_path, change):
    PreparedPhotos.build(tmp_path, sources[:3], EDGE_PX)
    before = contents(tmp_path)
    some, edge_px, filtered = {
        "none": (sources[:3], EDGE_PX, True),
        "fewer": (sources[:2], EDGE_PX, True),
        "more": (sources, EDGE_PX, True),
        "other order": ([sources[0], sources[2], sources[1]], EDGE_PX, True),
        "another size": (sources[:3], 64, True),
        "unfiltered": (sources[:3], EDGE_PX, False),
        "no more": ([], EDGE_PX, False),
    }[change]
    if change == "none":
        assert len(PreparedPhotos.build(tmp_path, some, edge_px, filtered=filtered, is_fixed=True)) == 3
    else:
        with pytest.raises(StateError) as caught:
            PreparedPhotos.build(tmp_path, some, edge_px, filtered=filtered, is_fixed=True)
        assert caught.value.code == "other_photographs"
    assert contents(tmp_path) == before


def test_a_damaged_pack_is_made_anew_even_if_a_run_has_begun_with_it(sources, tmp_path):
    PreparedPhotos.build(tmp_path, sources, EDGE_PX)
    whole = (tmp_path / PIXELS_NAME).read_bytes()
    for content in (whole[:-100], b""):
        (tmp_path / PIXELS_NAME).write_bytes(content)
        PreparedPhotos.build(tmp_path, sources, EDGE_PX, is_fixed=True)
        assert (tmp_path / PIXELS_NAME).read_bytes() == whole


def test_a_build_that_was_cut_off_is_finished_and_the_same(sources, tmp_path):
    def broken() -> Iterator[SourcePhoto]:
        yield from sources[:2]
        yield failing("away", StorageError("storage_away", "the storage is away"))

    with pytest.raises(StorageError):
        PreparedPhotos.build(tmp_path / "cut", broken(), EDGE_PX)
    assert not json.loads((tmp_path / "cut" / INDEX_NAME).read_bytes())["is_complete"]
    finished = PreparedPhotos.build(tmp_path / "cut", sources, EDGE_PX)
    whole = PreparedPhotos.build(tmp_path / "whole", sources, EDGE_PX)
    assert finished.entries == whole.entries
    assert (tmp_path / "cut" / PIXELS_NAME).read_bytes() == (tmp_path / "whole" / PIXELS_NAME).read_bytes()


def test_a_pack_that_lost_its_end_is_made_anew(sources, tmp_path):
    PreparedPhotos.build(tmp_path, sources, EDGE_PX)
    pack = tmp_path / PIXELS_NAME
    whole = pack.read_bytes()
    pack.write_bytes(whole[:-100])
    PreparedPhotos.build(tmp_path, sources, EDGE_PX)
    assert pack.read_bytes() == whole


def test_the_number_of_threads_changes_nothing(sources, tmp_path):
    for threads in (1, 4):
        PreparedPhotos.build(tmp_path / str(threads), sources * 3, EDGE_PX, threads=threads)
    packs = [(tmp_path / threads / PIXELS_NAME).read_bytes() for threads in "14"]
    assert packs[0] == packs[1]


def test_no_photographs_make_an_empty_pack(tmp_path):
    prepared = PreparedPhotos.build(tmp_path, [], EDGE_PX)
    assert len(prepared) == 0
    with pytest.raises(ValueError, match="no photographs"):
        Batches(prepared, 64, 4, 0, NO_AUGMENTATION)


def test_batches_are_the_true_lab_values_of_crops(prepared):
    lightness, ab = Batches(prepared, 64, 6, 1, NO_AUGMENTATION).batch(3)
    assert (lightness.shape, ab.shape) == ((6, 1, 64, 64), (6, 2, 64, 64))
    assert (lightness.dtype, ab.dtype) == (np.float32, np.float32)
    assert lightness.min() >= -1
    assert lightness.max() <= 1
    restored = np.concatenate((50 * (lightness + 1), 110 * ab), axis=1).transpose(0, 2, 3, 1)
    # They are the values of 8-bit pixels, which scikit-image finds too.
    pixels = np.rint(lab2rgb(restored) * 255).astype(np.uint8)
    assert np.abs(rgb2lab(pixels) - restored).max() < 0.1
    assert np.abs(ab).max() > 0.2


def test_a_batch_depends_on_seed_and_step_alone(prepared):
    made = Batches(prepared, 48, 4, 7, EVERYTHING)
    first = made.batch(5)
    made.batch(6)
    for again in (made.batch(5), Batches(prepared, 48, 4, 7, EVERYTHING).batch(5)):
        np.testing.assert_array_equal(first[0], again[0])
        np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], made.batch(6)[1])
    assert not np.array_equal(first[1], Batches(prepared, 48, 4, 8, EVERYTHING).batch(5)[1])


def test_augmentation_changes_lightness_and_never_color(prepared):
    plain, aged = (Batches(prepared, 48, 1, 7, augmentation).batch(2) for augmentation in (NO_AUGMENTATION, EVERYTHING))
    np.testing.assert_array_equal(plain[1], aged[1])
    assert np.abs(plain[0] - aged[0]).mean() > 0.01


@pytest.mark.parametrize(("workers", "apart"), [(1, False), (3, False), (1, True), (2, True)])
def test_streams_give_the_batches_of_their_steps_whoever_prepares_them(prepared, workers, apart):
    made = Batches(prepared, 32, 4, 7, EVERYTHING, workers, apart=apart)
    streamed = list(made.stream(2, 9))
    assert len(streamed) == 7
    for step, (lightness, ab) in enumerate(streamed, 2):
        expected = Batches(prepared, 32, 4, 7, EVERYTHING).batch(step)
        np.testing.assert_array_equal(lightness, expected[0])
        np.testing.assert_array_equal(ab, expected[1])
    assert made.waited_s > 0


@pytest.mark.parametrize("apart", [False, True])
def test_a_stream_that_is_left_early_ends_its_workers(prepared, apart):
    made = Batches(prepared, 32, 4, 7, NO_AUGMENTATION, 2, apart=apart)
    stream = made.stream(0, 10**9)
    next(stream)
    stream.close()
    assert list(made.stream(3, 3)) == []
    assert not multiprocessing.active_children()


def test_every_photograph_is_shown_once_per_epoch(tmp_path):
    colors = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40), (200, 40, 200)]
    pictures = [source(str(color), png(np.full((96, 96, 3), color, np.uint8))) for color in colors]
    prepared = PreparedPhotos.build(tmp_path, pictures, EDGE_PX, filtered=False)
    made = Batches(prepared, 32, 3, 0, NO_AUGMENTATION)
    shown = np.concatenate([made.batch(step)[1][:, :, 0, 0] for step in range(5)])
    epochs = [{tuple(color) for color in shown[start : start + 5].tolist()} for start in (0, 5, 10)]
    assert [len(epoch) for epoch in epochs] == [5, 5, 5]
    orders = {tuple(map(tuple, shown[start : start + 5].tolist())) for start in (0, 5, 10)}
    assert len(orders) > 1


def integral_mean(rgb: np.ndarray, top: float, left: float, bottom: float, right: float) -> np.ndarray:
    """The mean over an area with fractional edges, from the integral of the picture."""
    total = np.pad(rgb.astype(float).cumsum(0).cumsum(1), ((1, 0), (1, 0), (0, 0)))

    def at(y: float, x: float) -> np.ndarray:
        y0, x0 = min(int(y), rgb.shape[0] - 1), min(int(x), rgb.shape[1] - 1)
        v, u = y - y0, x - x0
        upper = total[y0, x0] * (1 - u) + total[y0, x0 + 1] * u
        return upper * (1 - v) + (total[y0 + 1, x0] * (1 - u) + total[y0 + 1, x0 + 1] * u) * v

    area = (bottom - top) * (right - left)
    return (at(bottom, right) - at(top, right) - at(bottom, left) + at(top, left)) / area


def test_shrinking_takes_the_mean_over_each_area():
    rgb, box = data.astronaut(), (3.3, 7.9, 250.5, 333.3)
    small = resampled(rgb, box, 40, 50, mirrored=False)
    step_y, step_x = box[2] / 40, box[3] / 50
    for y, x in ((0, 0), (39, 49), (17, 23)):
        top, left = box[0] + y * step_y, box[1] + x * step_x
        assert np.abs(small[y, x] - integral_mean(rgb, top, left, top + step_y, left + step_x)).max() <= 0.51


def test_enlarging_interpolates_linearly():
    rgb = data.astronaut()[:64, :80]
    ours = resampled(rgb, (0, 0, 64, 80), 128, 160, mirrored=False)
    pillow = np.asarray(Image.fromarray(rgb).resize((160, 128), Image.Resampling.BILINEAR))
    assert np.abs(ours.astype(int) - pillow).max() <= 1


def test_mirroring_turns_the_result_around():
    rgb, box = data.astronaut(), (5.5, 9, 100, 90)
    mirrored, plain = (resampled(rgb, box, 64, 64, mirrored=mirrored) for mirrored in (True, False))
    np.testing.assert_array_equal(mirrored, plain[:, ::-1])
