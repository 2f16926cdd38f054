"""The options on the first page: chosen, remembered, sent, and told with the job."""

import io
import re
import zipfile

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

COLORIZING_TIMEOUT_MS = 120_000
SOME_CHROMA = 3.0
HARDLY_ANY_CHROMA = 1.0


@pytest.fixture
def options(page):
    """The panel, opened."""
    panel = page.locator("#options")
    panel.locator("summary").click()
    return panel


def in_color(page):
    link = page.get_by_role("link", name="Download in color")
    expect(link).to_be_visible(timeout=COLORIZING_TIMEOUT_MS)
    return link


def test_the_panel_is_folded_until_it_is_asked_for(page):
    panel = page.locator("#options")
    expect(panel.get_by_label("Strength of the colors")).to_be_hidden()
    panel.locator("summary").click()
    expect(panel.get_by_label("Strength of the colors")).to_be_visible()


def test_what_was_chosen_is_shown_and_remembered_until_it_is_taken_back(page, options):
    options.get_by_label("Strength of the colors").fill("1.3")
    options.get_by_label("Format of the results").select_option("JPEG")
    options.get_by_label("Put a small visible mark").check()
    chosen = page.locator("#options-chosen")
    expect(chosen).to_have_text("colors at 130%, JPEG, visible mark")

    page.reload()
    expect(chosen).to_have_text("colors at 130%, JPEG, visible mark")
    options.locator("summary").click()
    expect(options.get_by_label("Strength of the colors")).to_have_value("1.3")
    options.get_by_role("button", name="Back to the usual options").click()
    expect(chosen).to_have_text("")
    page.reload()
    expect(chosen).to_have_text("")


def test_a_browser_that_remembers_nonsense_shows_the_usual_options(page):
    for nonsense in ("{", '{"output_format": "gif", "hue": "1", "network_edge_px": 7}'):
        page.evaluate("text => localStorage.setItem('gray2hue-options', text)", nonsense)
        page.reload()
        expect(page.locator("#options-chosen")).to_have_text("")


def test_a_single_picture_is_colored_as_it_was_asked_for(page, options, camera, mean_chroma):
    options.get_by_label("Strength of the colors").fill("0")
    options.get_by_label("Format of the results").select_option("JPEG")
    page.locator("#pick-files").set_input_files(camera)
    link = in_color(page)
    assert mean_chroma(page, link.get_attribute("href")) < HARDLY_ANY_CHROMA
    with page.expect_download() as downloading:
        link.click()
    assert downloading.value.suggested_filename == "camera.jpg"
    page.locator("#single .outcome summary").click()
    expect(page.locator("#single .outcome")).to_contain_text("on a scale of 100")


def test_a_picture_in_color_is_left_as_it_is_until_asked_for(page, photographs, mean_chroma):
    picture = {"name": "coffee.png", "mimeType": "image/png", "buffer": photographs["coffee"]}
    page.locator("#pick-files").set_input_files(picture)
    state = page.locator(".single-state")
    expect(state).to_contain_text("in color already", timeout=COLORIZING_TIMEOUT_MS)
    expect(page.get_by_role("link", name="Download in color")).to_have_count(0)

    page.locator("#options summary").click()
    page.get_by_label("Photographs that are in color already").select_option("Color anew")
    page.locator("#pick-files").set_input_files(picture)
    assert mean_chroma(page, in_color(page).get_attribute("href")) > SOME_CHROMA


def test_an_archive_tells_what_was_asked_and_what_was_left(page, options, gray_jpegs, photographs, make_zip, finished):
    options.get_by_label("Format of the results").select_option("PNG")
    content = make_zip({"gray.jpg": gray_jpegs["chelsea"], "color.png": photographs["coffee"]})
    page.locator("#pick-files").set_input_files({"name": "mixed.zip", "mimeType": "application/zip", "buffer": content})
    page.wait_for_url(re.compile("/jobs/[0-9a-f]+$"))
    finished(page)
    expect(page.locator("#job-options")).to_have_text("Options: PNG.")
    page.locator("#skipped summary").click()
    expect(page.locator("#skipped li")).to_contain_text("already_color")
    expect(page.locator("#skipped li")).to_contain_text("Color anew")
    with page.expect_download() as downloading:
        page.locator("#download").click()
    with zipfile.ZipFile(io.BytesIO(downloading.value.path().read_bytes())) as archive:
        assert "gray.png" in archive.namelist()
