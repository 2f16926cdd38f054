import io
import tarfile
import zipfile

import click
import pytest

from cli.upload import plan_upload
from core.errors import InputError


def body(upload):
    return b"".join(upload.pieces())


def names(upload):
    with tarfile.open(fileobj=io.BytesIO(body(upload))) as archive:
        return archive.getnames()


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.jpg", b"x")
    return path


def test_an_archive_is_sent_as_it_is(archive, tmp_path):
    upload = plan_upload([archive], tmp_path / "out")
    assert body(upload) == archive.read_bytes()
    assert (upload.filename, upload.size_bytes, upload.is_picture) == ("photos.zip", archive.stat().st_size, False)


def test_a_single_picture_is_sent_as_it_is(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"picture")
    upload = plan_upload([tmp_path / "a.jpg"], tmp_path / "out")
    assert (body(upload), upload.filename, upload.is_picture) == (b"picture", "a.jpg", True)


def test_a_folder_is_sent_with_its_files_relative_to_it(tmp_path):
    (tmp_path / "album" / "sub").mkdir(parents=True)
    (tmp_path / "album" / "sub" / "a.jpg").write_bytes(b"x")
    upload = plan_upload([tmp_path / "album"], tmp_path / "out")
    assert (names(upload), upload.filename, upload.name) == (["sub/a.jpg"], "album.tar", "album")
    assert len(body(upload)) == upload.size_bytes


def test_several_files_and_folders_make_one_job(tmp_path):
    (tmp_path / "album").mkdir()
    for name in ("album/a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    upload = plan_upload([tmp_path / "b.jpg", tmp_path / "album"], tmp_path / "out")
    assert names(upload) == ["b.jpg", "album/a.jpg"]


def test_equal_names_from_different_folders_stay_apart(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").write_bytes(b"x")
    upload = plan_upload([tmp_path / "x" / "1.jpg", tmp_path / "y" / "1.jpg"], tmp_path / "out")
    assert names(upload) == ["x/1.jpg", "y/1.jpg"]


def test_an_archive_among_several_inputs_is_refused(archive, tmp_path):
    (tmp_path / "b.jpg").write_bytes(b"x")
    with pytest.raises(click.UsageError, match="one at a time"):
        plan_upload([archive, tmp_path / "b.jpg"], tmp_path / "out")


def test_an_empty_folder_is_told_before_anything_is_started(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as refusal:
        plan_upload([tmp_path / "empty"], tmp_path / "out")
    assert refusal.value.code == "no_files"
