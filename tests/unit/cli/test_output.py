import click
import pytest

from cli.output import (
    CAN_BE_ASKED_FOR,
    PICTURE_SUFFIXES,
    Output,
    OutputKind,
    check_picture_format,
    choose_output,
    result_names,
    result_suffix,
    wished_format,
)
from core.errors import InputError
from core.imaging.scan import SUFFIXES
from core.options import JobOptions


@pytest.mark.parametrize(
    ("out", "picture_suffix", "kind"),
    [
        ("colored.zip", None, OutputKind.ZIP),
        ("colored.ZIP", ".jpg", OutputKind.ZIP),
        ("colored/", None, OutputKind.FOLDER),
        ("v1.5/", ".jpg", OutputKind.FOLDER),
        ("colored", None, OutputKind.FOLDER),
        ("a-color.jpeg", ".jpg", OutputKind.PICTURE),
        ("a-color.TIF", ".tiff", OutputKind.PICTURE),
        ("a-color.jp2", ".j2k", OutputKind.PICTURE),
        ("a-color.bmp", ".bmp", OutputKind.PICTURE),
    ],
)
def test_out_is_understood_by_its_look(out, picture_suffix, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert choose_output(out, picture_suffix, overwrite=False).kind is kind


def test_an_existing_folder_is_a_folder_whatever_its_name(tmp_path):
    (tmp_path / "scans.zip").mkdir()
    assert choose_output(str(tmp_path / "scans.zip"), None, overwrite=False).kind is OutputKind.FOLDER


@pytest.mark.parametrize(
    ("out", "picture_suffix"), [("a.jpg", None), ("a.png", ".jpg"), ("a.7z", None), ("a.txt", ".jpg")]
)
def test_an_out_that_cannot_hold_the_results_is_a_usage_error(out, picture_suffix):
    with pytest.raises(click.BadParameter):
        choose_output(out, picture_suffix, overwrite=False)


def test_the_suffixes_are_those_that_the_workers_know():
    assert {name.replace(" ", "").lower(): suffixes for name, suffixes in SUFFIXES.items()} == PICTURE_SUFFIXES
    assert ["same", *CAN_BE_ASKED_FOR] == JobOptions.model_json_schema()["properties"]["output_format"]["enum"]


@pytest.mark.parametrize(
    ("out", "original_suffix", "wished"),
    [
        ("a.jpg", ".tif", "jpeg"),
        ("a.JP2", ".tif", "jpeg2000"),
        ("a.png", "", "png"),
        ("a.jpeg", ".JPG", "same"),
        ("a.bmp", ".tif", "same"),
        ("a.zip", ".tif", "same"),
        ("folder", ".tif", "same"),
    ],
)
def test_the_name_of_a_single_picture_asks_for_its_format(out, original_suffix, wished):
    assert wished_format(out, original_suffix) == wished


def test_a_folder_asks_for_no_format_whatever_its_name(tmp_path):
    (tmp_path / "a.jpg").mkdir()
    assert wished_format(str(tmp_path / "a.jpg"), ".tif") == "same"


@pytest.mark.parametrize(
    ("original_suffix", "output_format", "suffix"),
    [(".TIF", "same", ".TIF"), (".jpe", "jpeg", ".jpe"), (".tif", "jpeg2000", ".jp2"), ("", "png", ".png")],
)
def test_a_result_has_the_suffix_of_its_format(original_suffix, output_format, suffix):
    assert result_suffix(original_suffix, output_format) == suffix


def test_results_are_looked_for_under_the_names_that_they_will_have():
    assert result_names(["b/a.tif", "c.jpg", "notes.txt", "d"], "jpeg") == ["b/a.jpg", "c.jpg", "notes.txt", "d"]


def test_a_result_of_another_format_than_the_name_says_is_refused(tmp_path):
    output = Output(OutputKind.PICTURE, tmp_path / "a.jpg")
    check_picture_format(output, "b.jpeg")
    with pytest.raises(InputError) as refusal:
        check_picture_format(output, "b.png")
    assert refusal.value.code == "wrong_suffix"


@pytest.mark.parametrize("kind", [OutputKind.ZIP, OutputKind.PICTURE])
def test_an_existing_file_is_replaced_only_when_asked_for(tmp_path, kind):
    path = tmp_path / "out"
    path.touch()
    with pytest.raises(InputError) as refusal:
        Output(kind, path).check_free(())
    assert refusal.value.code == "file_exists"
    Output(kind, path, overwrite=True).check_free(())


def test_a_result_that_exists_in_the_folder_is_told_before_the_work(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError) as refusal:
        Output(OutputKind.FOLDER, tmp_path).check_free(("a.jpg", "b.jpg"))
    assert refusal.value.code == "file_exists"
    Output(OutputKind.FOLDER, tmp_path, overwrite=True).check_free(("a.jpg",))


def test_an_original_is_never_replaced_not_even_when_asked_for(tmp_path):
    (tmp_path / "a.jpg").touch()
    for output in (
        Output(OutputKind.FOLDER, tmp_path, overwrite=True),
        Output(OutputKind.PICTURE, tmp_path / "a.jpg", overwrite=True),
    ):
        with pytest.raises(InputError) as refusal:
            output.check_free(("a.jpg",), {(tmp_path / "a.jpg").resolve()})
        assert refusal.value.code == "would_replace_original"
