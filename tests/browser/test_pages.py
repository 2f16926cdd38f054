"""Every page on a desk and on a phone: nothing to scroll sideways, nothing the browser complains about."""

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LONG_NAME = "an extraordinarily long name without any meaning " * 4 + "W" * 90
PAGES = ("/", "/jobs", "/training", "/models", "/keys")


@pytest.fixture(scope="module")
def job_path(running_stack, gray_jpegs, make_zip):
    """The page of a finished job with long names."""
    contents = {
        f"{LONG_NAME}.jpg": gray_jpegs["rocket"],
        f"{LONG_NAME}/2.jpg": b"no picture",
        "3.jpg": gray_jpegs["coffee"],
    }
    with running_stack.client() as client:
        job_id = running_stack.submit(client, f"{LONG_NAME[:150]}.zip", make_zip(contents))
        return running_stack.finished(client, job_id)["links"]["page"]


def test_no_page_scrolls_sideways_on_a_phone(phone, job_path):
    for path in (*PAGES, job_path):
        phone.goto(path)
        phone.wait_for_load_state("networkidle")
        assert phone.evaluate(SIDEWAYS) <= 0, path
    phone.locator(".tile.done").first.get_by_role("button").tap()
    expect(phone.get_by_role("dialog").get_by_role("slider")).to_be_visible()
    assert phone.evaluate(SIDEWAYS) <= 0


def test_the_pages_before_signing_in_fit_a_phone(open_page, signed_in):
    page = open_page(viewport={"width": 390, "height": 844})
    page.goto("/sign-in")
    assert page.evaluate(SIDEWAYS) <= 0


def test_no_page_makes_the_browser_complain(page, job_path, open_page, signed_in, complaints):
    dark = open_page(signed_in, color_scheme="dark")
    for path in (*PAGES, job_path):
        dark.goto(path)
        dark.wait_for_load_state("networkidle")
    assert complaints == []


def test_the_page_takes_nothing_from_elsewhere(page, running_stack, job_path):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for path in (*PAGES, job_path):
        page.goto(path)
        page.wait_for_load_state("networkidle")
    assert asked
    assert all(url.startswith((running_stack.address, "blob:", "data:")) for url in asked)


def test_tiles_keep_their_shape_when_the_pictures_come_in(page, job_path):
    held, holding = [], True
    page.route("**/preview?*", lambda route: held.append(route) if holding else route.continue_())
    page.goto(job_path)
    expect(page.locator(".tile.done img")).to_have_count(2)
    boxes = [tile.bounding_box() for tile in page.locator(".tile").all()]
    assert all(box["height"] > 60 for box in boxes)
    holding = False
    for route in held:
        route.continue_()
    expect(page.locator(".tile.done img.loaded")).to_have_count(2)
    assert [tile.bounding_box() for tile in page.locator(".tile").all()] == boxes
