"""How a file's outcome is told."""

from worker.handlers.wording import named


def test_the_file_is_named_once():
    assert named("a/b.jpg", "The file is empty.") == "a/b.jpg: The file is empty."
    assert named("a/b.jpg", "a/b.jpg: is a link, not a file") == "a/b.jpg: is a link, not a file"


def test_nothing_that_a_database_would_refuse_is_told():
    assert "\0" not in named("a.jpg", "bad name 'x\0y'")
