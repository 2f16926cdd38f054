"""One picture dropped on the first page: seen at once, then in color."""

import re

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

COLORIZING_TIMEOUT_MS = 120_000
SOME_CHROMA = 3.0
HARDLY_ANY_CHROMA = 1.0


def test_a_dropped_picture_is_seen_at_once_and_then_in_color(page, camera, drop, mean_chroma):
    drop(page, camera)
    own = page.locator(".slider-before")
    expect(own).to_have_attribute("src", re.compile("^blob:"))
    expect(page.locator(".slider.coloring")).to_be_visible()

    download = page.get_by_role("link", name="Download in color")
    expect(download).to_be_visible(timeout=COLORIZING_TIMEOUT_MS)
    expect(page.locator("#single")).to_contain_text("Colors are a guess by model")
    expect(page).to_have_url(re.compile("/jobs/[0-9a-f]+$"))
    assert mean_chroma(page, download.get_attribute("href")) > SOME_CHROMA
    assert mean_chroma(page, page.locator(".slider-after").get_attribute("src")) > SOME_CHROMA
    assert mean_chroma(page, own.get_attribute("src")) < HARDLY_ANY_CHROMA
    with page.expect_download() as downloading:
        download.click()
    assert downloading.value.suggested_filename == "camera.png"


def test_the_divider_follows_keyboard_and_pointer(page, camera):
    page.locator("#pick-files").set_input_files(camera)
    expect(page.get_by_role("link", name="Download in color")).to_be_visible(timeout=COLORIZING_TIMEOUT_MS)
    divider = page.get_by_role("slider")
    expect(divider).to_have_attribute("aria-valuenow", "50")
    divider.focus()
    for key, value in (("ArrowLeft", "48"), ("PageUp", "58"), ("Home", "0"), ("ArrowRight", "2"), ("End", "100")):
        page.keyboard.press(key)
        expect(divider).to_have_attribute("aria-valuenow", value)
    box = page.locator(".slider").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20, steps=3)
    page.mouse.up()
    expect(divider).to_have_attribute("aria-valuenow", "25")


def test_the_pictures_page_shows_it_again_after_a_reload(page, camera):
    page.locator("#pick-files").set_input_files(camera)
    expect(page.get_by_role("link", name="Download in color")).to_be_visible(timeout=COLORIZING_TIMEOUT_MS)
    page.reload()
    expect(page.locator("#job-state")).to_have_text("Finished: 1 photograph in color.")
    expect(page.get_by_role("slider")).to_be_visible()
    expect(page.locator("#photographs")).to_be_hidden()
    page.go_back()
    expect(page.locator("#dropzone")).to_be_visible()


def test_a_lost_connection_is_told_and_trying_again_works(page, camera, complaints):
    page.context.set_offline(True)
    page.locator("#pick-files").set_input_files(camera)
    expect(page.get_by_role("alert")).to_contain_text("connection was lost")
    page.context.set_offline(False)
    complaints.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("link", name="Download in color")).to_be_visible(timeout=COLORIZING_TIMEOUT_MS)


def test_a_file_that_is_no_picture_is_told_by_its_reason(page, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no more than a beginning")
    page.locator("#pick-files").set_input_files(broken)
    state = page.locator(".single-state")
    expect(state).to_contain_text("JPEG", timeout=COLORIZING_TIMEOUT_MS)
    expect(page.get_by_role("link", name="Download in color")).to_have_count(0)
