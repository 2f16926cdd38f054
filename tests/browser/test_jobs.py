"""Archives and folders: the job's page from the upload to the download."""

import io
import re
import zipfile

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

COLORIZING_TIMEOUT_MS = 120_000
MARKUP = "<img src=x onerror=alert(1)>.jpg"
MANY = 150
ON_A_JOBS_PAGE = re.compile("/jobs/[0-9a-f]+$")


@pytest.fixture
def awkward_zip(gray_jpegs, make_zip):
    """Four photographs in nested folders and any script, three broken ones, three files that are none."""
    coffee = gray_jpegs["coffee"]
    return make_zip(
        {
            "Album/1911/астронавт.jpg": gray_jpegs["astronaut"],
            "Album/1911/רקטה.jpg": gray_jpegs["rocket"],
            "Album/猫/chelsea.jpg": gray_jpegs["chelsea"],
            "Album/coffee.jpg": coffee,
            "Album/cut off.jpg": coffee[: len(coffee) // 2],
            "Album/no picture.jpg": b"text under a false name",
            f"Album/{MARKUP}": b"\xff\xd8\xff\xe0 no more than a beginning",
            "Album/notes.txt": b"1911, in the garden",
            "Album/Thumbs.db": b"\0" * 20,
            "__MACOSX/Album/._coffee.jpg": b"\0" * 20,
        }
    )


def upload(page, name, content):
    file = {"name": name, "mimeType": "application/zip", "buffer": content}
    page.locator("#pick-files").set_input_files(file)
    page.wait_for_url(ON_A_JOBS_PAGE)


def results(page):
    with page.expect_download() as downloading:
        page.locator("#download").click()
    return zipfile.ZipFile(io.BytesIO(downloading.value.path().read_bytes()))


def test_an_archive_finishes_with_its_problems_by_name_and_a_download(page, awkward_zip, finished):
    upload(page, "family.zip", awkward_zip)
    finished(page)
    expect(page.locator("#job-state")).to_have_text("Finished: 4 photographs in color, 3 could not be colorized.")
    problems = page.locator("#problems li")
    expect(problems).to_have_count(3)
    expect(problems.locator(".file-name")).to_have_text(
        ["Album/cut off.jpg", "Album/no picture.jpg", f"Album/{MARKUP}"]
    )
    expect(problems.first).to_contain_text("truncated_image")
    page.locator("#skipped summary").click()
    expect(page.locator("#skipped li")).to_have_count(3)
    expect(page.locator("#skipped")).to_contain_text("Album/notes.txt")
    with results(page) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
    wanted = {"Album/1911/астронавт.jpg", "Album/1911/רקטה.jpg", "Album/猫/chelsea.jpg", "Album/coffee.jpg"}
    assert names >= wanted | {"manifest.csv", "manifest.jsonl"}


def test_the_grid_shows_what_the_filter_asks_for(page, awkward_zip, finished):
    upload(page, "family.zip", awkward_zip)
    finished(page)
    for name, number in (("All 7", 7), ("Done 4", 4), ("Problems 3", 3)):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".tile")).to_have_count(number)


def test_the_viewer_turns_by_arrow_keys_and_gives_the_focus_back(page, awkward_zip, finished):
    upload(page, "family.zip", awkward_zip)
    finished(page)
    page.get_by_role("button", name="Done 4").click()
    tiles = page.locator(".tile.done")
    expect(tiles).to_have_count(4)
    tiles.first.get_by_role("button").click()
    viewer = page.get_by_role("dialog")
    expect(viewer).to_contain_text("Album/1911/астронавт.jpg")
    expect(viewer).to_contain_text("Colors are a guess by model")
    expect(viewer.locator(".slider-after")).to_have_js_property("complete", True)
    page.keyboard.press("ArrowRight")
    expect(viewer).to_contain_text("Album/1911/רקטה.jpg")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(viewer).to_contain_text("Album/1911/астронавт.jpg")
    page.keyboard.press("ArrowRight")
    viewer.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    expect(viewer.get_by_role("slider")).to_have_attribute("aria-valuenow", "52")
    expect(viewer).to_contain_text("Album/1911/רקטה.jpg")
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    expect(tiles.nth(1).get_by_role("button")).to_be_focused()


def test_a_dropped_folder_keeps_its_paths(page, tmp_path, gray_jpegs, drop, finished):
    folder = tmp_path / "Familie Müller"
    (folder / "1920" / "Sommer").mkdir(parents=True)
    (folder / "1920" / "Sommer" / "am See.jpg").write_bytes(gray_jpegs["coffee"])
    (folder / "oben.jpg").write_bytes(gray_jpegs["chelsea"])
    # A browser hands out a folder's entries a hundred at a time.
    for number in range(130):
        (folder / "1920" / f"note {number}.txt").write_text("a note")
    drop(page, folder)
    page.wait_for_url(ON_A_JOBS_PAGE, timeout=60_000)
    finished(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Familie Müller")
    expect(page.locator("#skipped")).to_contain_text("130 files skipped")
    with results(page) as archive:
        names = set(archive.namelist())
    assert names >= {"Familie Müller/1920/Sommer/am See.jpg", "Familie Müller/oben.jpg"}


def test_a_running_job_shows_what_is_done_and_can_be_canceled(page, gray_jpegs, make_zip):
    upload(page, "many.zip", many(gray_jpegs, make_zip))
    expect(page.locator(".tile.done").first).to_be_visible(timeout=COLORIZING_TIMEOUT_MS)
    expect(page.locator("#download")).to_contain_text("Download what is done")
    with results(page) as archive:
        assert archive.testzip() is None
        assert any(name.endswith(".jpg") for name in archive.namelist())
    page.get_by_role("button", name="Cancel the job").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#job-state")).to_contain_text("Canceled.", timeout=COLORIZING_TIMEOUT_MS)
    expect(page.locator("#job-numbers")).to_contain_text("not colorized")


def many(gray_jpegs, make_zip):
    photographs = list(gray_jpegs.values())
    return make_zip({f"{number:03}.jpg": photographs[number % len(photographs)] for number in range(MANY)})


def test_a_job_is_paused_and_resumed_and_tells_its_history(page, gray_jpegs, make_zip):
    upload(page, "many.zip", many(gray_jpegs, make_zip))
    expect(page.locator(".tile.done").first).to_be_visible(timeout=COLORIZING_TIMEOUT_MS)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#job-state")).to_contain_text("It goes on when you resume it.")
    resume = page.get_by_role("button", name="Resume")
    expect(resume).to_be_focused()
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    history = page.locator("#history")
    history.locator("summary").click()
    expect(history.locator("li").last).to_contain_text("Paused")
    expect(history.locator("li").last).to_contain_text("by admin")
    resume.click()
    expect(page.locator("#job-state")).to_contain_text("Colorizing")
    expect(history.locator("li").last).to_contain_text("Resumed")
    page.get_by_role("button", name="Cancel the job").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#job-state")).to_contain_text("Canceled.", timeout=COLORIZING_TIMEOUT_MS)
    expect(history.locator("li").last).to_contain_text("Canceled")


def test_a_job_that_is_over_is_deleted_for_good(page, gray_jpegs, make_zip, finished):
    upload(page, "two.zip", make_zip({"a.jpg": gray_jpegs["coffee"], "b.jpg": gray_jpegs["rocket"]}))
    finished(page)
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Delete").click()
    expect(dialog).to_contain_text("nobody can bring them back")
    dialog.get_by_role("button", name="Keep them").click()
    expect(page.locator("#download")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete for good").click()
    expect(page.locator("#job-state")).to_contain_text("Deleted, with all originals and results.")
    expect(page.locator("#job-state")).to_be_focused()
    for gone in ("#download", "#photographs", "#delete"):
        expect(page.locator(gone)).to_be_hidden()
    page.locator("#history summary").click()
    expect(page.locator("#history li").last).to_contain_text("Originals and results deleted")
    page.goto("/jobs")
    expect(page.locator(".job-row", has_text="two.zip").first).to_contain_text("Deleted")


def test_an_archive_without_a_photograph_fails_in_words(page, make_zip):
    upload(page, "notes.zip", make_zip({"notes.txt": b"nothing to see"}))
    expect(page.locator("#job-state")).to_contain_text("no photograph", timeout=COLORIZING_TIMEOUT_MS)
    page.goto("/jobs")
    expect(page.locator(".job-row", has_text="notes.zip").first).to_contain_text("Failed")
