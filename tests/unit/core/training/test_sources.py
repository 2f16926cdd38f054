import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import ArchiveError, ImageError, InputError, MemberError
from core.training.sources import decode_photo, find_photos


def tar_of(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def read_all(*paths: Path) -> dict[str, bytes]:
    return {photo.name: photo.read() for photo in find_photos(paths)}


def test_folders_are_searched_to_the_bottom_in_the_order_of_names(tmp_path):
    for name in ("b/2.jpg", "b/1.png", "a.webp", "notes.txt", "b/Thumbs.db", "._a.webp", "__MACOSX/a.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    found = read_all(tmp_path)
    assert list(found) == [str(tmp_path / name) for name in ("a.webp", "b/1.png", "b/2.jpg")]
    assert found[str(tmp_path / "b/2.jpg")] == b"b/2.jpg"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_are_looked_into_wherever_they_lie(tmp_path, kind, make_zip):
    contents = {"x/1.jpg": b"one", "x/readme.md": b"no photograph", "2.png": b"two"}
    path = tmp_path / "folder" / f"photos.{kind}"
    path.parent.mkdir()
    path.write_bytes(make_zip(contents) if kind == "zip" else tar_of(contents))
    assert read_all(tmp_path) == {f"{path}/x/1.jpg": b"one", f"{path}/2.png": b"two"}
    assert read_all(path) == read_all(tmp_path)


def test_a_file_that_is_named_itself_counts_whatever_it_is_called(tmp_path):
    (tmp_path / "scan").write_bytes(b"bytes")
    assert read_all(tmp_path / "scan") == {str(tmp_path / "scan"): b"bytes"}
    assert read_all(tmp_path) == {}


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError) as caught:
        list(find_photos([tmp_path / "nowhere"]))
    assert caught.value.code == "no_such_path"


def test_a_damaged_archive_gives_what_it_has_and_then_its_error(tmp_path):
    path = tmp_path / "cut.tar"
    path.write_bytes(tar_of({"1.jpg": b"one", "2.jpg": bytes(5000)})[:3000])
    first, second, third = find_photos([path])
    assert first.name.endswith("1.jpg")
    assert (second.name.endswith("2.jpg"), third.name) == (True, str(path))
    with pytest.raises(ArchiveError) as caught:
        third.read()
    assert caught.value.code == "broken_archive"


def test_a_refused_member_raises_its_error_when_it_is_read(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../1.jpg", b"one")
    (photo,) = find_photos([path])
    with pytest.raises(MemberError):
        photo.read()


def test_photographs_are_decoded_to_upright_8_bit_srgb(photographs):
    image = Image.open(io.BytesIO(photographs["coffee"]))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    found = decode_photo(buffer.getvalue())
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.rot90(np.asarray(image), -1))


def test_deep_gray_scans_become_three_equal_channels():
    levels = np.arange(96 * 96, dtype=np.uint16).reshape(96, 96) * 7
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    found = decode_photo(buffer.getvalue())
    assert found.shape == (96, 96, 3)
    assert np.abs(found[..., 0] - levels / 257).max() <= 0.5
    assert (found == found[..., :1]).all()


def test_what_is_no_image_is_an_image_error():
    with pytest.raises(ImageError):
        decode_photo(b"no image")
