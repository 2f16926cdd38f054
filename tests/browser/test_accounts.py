"""Signing in, the one-time link and API keys, as a person meets them."""

import httpx
import pytest

expect = pytest.importorskip("playwright.sync_api").expect


def test_the_link_works_once_and_its_password_signs_in_afterwards(open_page, running_stack, signed_in, complaints):
    page = open_page()
    page.goto(running_stack.setup_link)
    expect(page.get_by_role("heading", level=1)).to_contain_text("does not work")
    # The browser notes the 404 in its console; here it is what is wanted.
    complaints.clear()
    page.goto("/keys")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill("a lantern over the river")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{running_stack.address}/keys")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto("/jobs")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_wrong_password_is_told_and_the_name_is_kept(open_page, signed_in, complaints):
    page = open_page()
    page.goto("/sign-in")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill("not the right words")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    expect(page.get_by_label("Name")).to_have_value("admin")
    complaints.clear()


def test_password_fields_tell_a_password_manager_what_they_are(open_page, signed_in):
    page = open_page()
    page.goto("/sign-in")
    expect(page.get_by_label("Name")).to_have_attribute("autocomplete", "username")
    expect(page.get_by_label("Password")).to_have_attribute("autocomplete", "current-password")


def test_a_key_is_shown_once_opens_the_api_and_is_worthless_once_revoked(page, running_stack):
    page.goto("/keys")
    page.get_by_label("Name of a new key").fill("Nightly scans")
    page.get_by_role("button", name="Make a key").click()
    token = page.get_by_label("New key", exact=True).input_value()
    bearer = {"Authorization": f"Bearer {token}"}
    jobs = f"{running_stack.address}/api/v1/jobs"
    assert httpx.get(jobs, headers=bearer).status_code == 200

    page.goto("/keys")
    expect(page.get_by_label("New key", exact=True)).to_have_count(0)
    row = page.locator(".key-row", has_text="Nightly scans")
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Go back").click()
    assert httpx.get(jobs, headers=bearer).status_code == 200
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(row).to_contain_text("Revoked")
    assert httpx.get(jobs, headers=bearer).status_code == 401
