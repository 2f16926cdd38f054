"""Approving a result, so that later models may learn from it, and taking that back."""

import re

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

COLORIZING_TIMEOUT_MS = 120_000


@pytest.fixture
def job_page(page, running_stack, gray_jpegs, make_zip):
    """The page of a finished job with two photographs."""
    content = make_zip({"coffee.jpg": gray_jpegs["coffee"], "rocket.jpg": gray_jpegs["rocket"]})
    with running_stack.client() as client:
        job_id = running_stack.submit(client, "two.zip", content)
        page.goto(running_stack.finished(client, job_id)["links"]["page"])
    return page


def test_a_single_picture_is_approved_and_withdrawn_again(page, camera):
    page.locator("#pick-files").set_input_files(camera)
    approve = page.get_by_role("button", name="Approve for training")
    expect(approve).to_be_visible(timeout=COLORIZING_TIMEOUT_MS)
    approve.click()
    expect(page.locator(".approval-text")).to_have_text("Approved: later models may learn from these colors.")
    page.reload()
    page.get_by_role("button", name="Withdraw approval").click()
    expect(page.locator(".approval-text")).to_contain_text("Do you know that these colors are right?")
    page.reload()
    expect(page.get_by_role("button", name="Approve for training")).to_be_visible()


def test_the_viewer_approves_without_moving_what_is_compared(job_page):
    job_page.locator(".tile").first.get_by_role("button").click()
    viewer = job_page.get_by_role("dialog")
    viewer.get_by_role("slider").focus()
    job_page.keyboard.press("Home")
    viewer.get_by_role("button", name="Approve for training").click()
    withdraw = viewer.get_by_role("button", name="Withdraw approval")
    expect(withdraw).to_be_focused()
    expect(viewer.get_by_role("slider")).to_have_attribute("aria-valuenow", "0")

    job_page.keyboard.press("ArrowRight")
    expect(viewer.get_by_role("button", name="Approve for training")).to_be_visible()
    job_page.keyboard.press("ArrowLeft")
    expect(withdraw).to_be_visible()
    job_page.keyboard.press("Escape")
    expect(job_page.locator(".tile.approved")).to_have_count(1)
    expect(job_page.get_by_role("button", name=re.compile("coffee.jpg.*approved for training"))).to_be_visible()
    job_page.reload()
    expect(job_page.locator(".tile.approved")).to_have_count(1)


def test_an_approval_that_does_not_arrive_is_told_and_can_be_repeated(job_page, complaints):
    job_page.locator(".tile").first.get_by_role("button").click()
    viewer = job_page.get_by_role("dialog")
    expect(viewer.locator(".slider-after")).to_have_js_property("complete", True)
    job_page.context.set_offline(True)
    viewer.get_by_role("button", name="Approve for training").click()
    expect(viewer.locator(".approval-text")).to_contain_text("cannot be reached")
    job_page.context.set_offline(False)
    complaints.clear()
    viewer.get_by_role("button", name="Approve for training").click()
    expect(viewer.locator(".approval-text")).to_contain_text("Approved")
