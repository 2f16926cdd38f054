import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.archives import Member, is_system_file
from core.archives.members import clean_path, display_path
from core.errors import MemberError

PARTS = st.lists(
    st.one_of(st.sampled_from(["", ".", "..", "C:", "\\", "..\\", "a\\b", "\0", "é", "写真"]), st.text(max_size=8)),
    max_size=10,
)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "//server/share/x",
        "\\\\server\\share\\x",
        "\\x.jpg",
        "./\\x.jpg",
        "C:/x.jpg",
        "c:x.jpg",
        "./C:/x.jpg",
        "..",
        "../x.jpg",
        "a/../x.jpg",
        "a/b/..",
        "..\\x.jpg",
        "a\\..\\..\\x.jpg",
        "a.jpg\0.exe",
        "",
        "./",
        "./.",
    ],
)
def test_a_path_that_leaves_the_archive_is_refused(path):
    with pytest.raises(MemberError) as caught:
        clean_path(path, 32)
    assert caught.value.code == "path_escapes"


@pytest.mark.parametrize(
    "path",
    ["a.jpg", "Ä/ö.jpg", "A\u0308/o\u0308.jpg", "写真/一枚.tif", "...", "a..b/c", " a / b ", "12:30.jpg", "a\\b.jpg"],
)
def test_a_plain_path_is_kept_to_the_character(path):
    assert clean_path(path, 32) == path


def test_empty_and_dot_parts_are_dropped():
    assert clean_path("./a//b/./c.jpg", 32) == "a/b/c.jpg"


def test_a_path_may_be_as_deep_as_the_limit_and_no_deeper():
    assert clean_path("a/b/c.jpg", 3) == "a/b/c.jpg"
    for path in ("a/b/c/d.jpg", "a\\b\\c\\d.jpg"):
        with pytest.raises(MemberError) as caught:
            clean_path(path, 3)
        assert caught.value.code == "path_too_deep"


def test_a_path_longer_than_any_disk_could_hold_is_refused():
    with pytest.raises(MemberError) as caught:
        clean_path("é" * 3000, 32)
    assert caught.value.code == "path_too_deep"


@given(PARTS.map("/".join))
@settings(deadline=None)
def test_whatever_is_accepted_stays_inside_for_every_reader(raw):
    try:
        path = clean_path(raw, 32)
    except MemberError:
        return
    assert clean_path(path, 32) == path
    assert not path.startswith(("/", "\\"))
    assert "\0" not in path
    assert ".." not in path.replace("\\", "/").split("/")
    assert "" not in path.split("/")
    assert path[1:2] != ":" or not (path[0].isascii() and path[0].isalpha())


@given(PARTS.map("/".join))
@settings(deadline=None)
def test_a_refused_path_is_shown_in_a_harmless_form(raw):
    shown = display_path(raw)
    assert 0 < len(shown) <= 240
    assert clean_path(shown, 10_000) == shown
    assert shown.isprintable() or not any(ord(character) < 32 for character in shown)


def test_a_refused_path_can_still_be_recognized():
    assert display_path("../../etc/passwd") == "__/__/etc/passwd"
    assert display_path("C:\\fotos\\a.jpg") == "C_/fotos/a.jpg"
    assert display_path("/") == "(no name)"


@pytest.mark.parametrize(
    "path",
    [
        "__MACOSX/a/._b.jpg",
        "a/__MACOSX/b.jpg",
        "a/._b.jpg",
        ".DS_Store",
        "a/Thumbs.db",
        "a/THUMBS.DB",
        "Desktop.ini",
        "a/@eaDir/b.jpg/SYNOPHOTO_THUMB_M.jpg",
        ".Trashes/501/a.jpg",
        "$RECYCLE.BIN/a.jpg",
        "Icon\r",
    ],
)
def test_what_systems_leave_beside_photographs_is_known(path):
    assert is_system_file(path)


@pytest.mark.parametrize("path", ["a.jpg", "thumbs/a.jpg", "Thumbs.db.jpg", "_a.jpg", "MACOSX/a.jpg", ".hidden.jpg"])
def test_photographs_are_no_system_files(path):
    assert not is_system_file(path)


def test_a_refused_member_gives_its_error_and_not_its_bytes():
    error = MemberError("link", "a: is a link")
    member = Member(0, "a", 1, error, lambda: io.BytesIO(b"x"))
    with pytest.raises(MemberError, match="is a link"):
        member.open()
