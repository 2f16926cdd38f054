"""The models' page: what each version is worth, which one is in use, and changing that."""

import subprocess
import sys

import pytest
import safetensors.torch

from core.settings import SOURCE_ROOT
from shipped import SHIPPED_VERSION

expect = pytest.importorskip("playwright.sync_api").expect


@pytest.fixture(scope="module")
def other_version(running_stack, tmp_path_factory):
    """A second version, hardly different from the one that came with the program, which is in use again at the end."""
    weights = safetensors.torch.load_file(SOURCE_ROOT / "models" / "model.safetensors")
    weights["layers.10.0.bias"] = weights["layers.10.0.bias"] + 0.01
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    safetensors.torch.save_file(weights, path)
    command = [sys.executable, "-m", "cli", "models", "import", str(path), "--version", "other"]
    with running_stack.client() as client:
        shipped = client.get("/api/v1/models").json()["active"]
        subprocess.run(command, env=running_stack.full_environment, check=True, capture_output=True, timeout=240)
        yield "other"
        if client.get("/api/v1/models").json()["active"] != shipped:
            client.post(f"/api/v1/models/{shipped}/promotion", json={}).raise_for_status()


def test_the_model_in_use_comes_first_and_tells_about_itself(page, other_version):
    page.goto("/models")
    first = page.locator(".model-row").first
    expect(first).to_contain_text("In use")
    expect(first).to_contain_text("came with the program")
    expect(first.get_by_role("button")).to_have_count(0)
    first.get_by_text("About this model").click()
    expect(first.get_by_role("heading", name="How it was trained")).to_be_visible()
    expect(first).to_contain_text("SHA-256 of its weights")


def test_another_one_is_put_in_use_for_a_reason_and_left_again(page, other_version):
    page.goto("/models")
    page.get_by_role("button", name=f"Use {other_version}").click()
    page.get_by_role("dialog").get_by_role("button", name="Go back").click()
    expect(page.locator(".model-row.active .model-name")).to_have_text(SHIPPED_VERSION)
    page.get_by_role("button", name=f"Use {other_version}").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("Warmer <skin>")
    page.get_by_role("dialog").get_by_role("button", name="Use it").click()
    expect(page.locator("#models-told")).to_contain_text(f"{other_version} is in use.")
    expect(page.locator(".model-name").first).to_have_text(other_version)
    expect(page.locator(".history li").first).to_contain_text("Warmer <skin>")

    page.get_by_role("button", name=f"Go back to {SHIPPED_VERSION}").click()
    page.get_by_role("dialog").get_by_role("textbox").press("Enter")
    expect(page.locator(".history li").first).to_contain_text(f"went back to {SHIPPED_VERSION}")
    expect(page.locator(".model-row.active .model-name")).to_have_text(SHIPPED_VERSION)


def test_a_change_that_cannot_be_made_is_told(page, running_stack, other_version, complaints):
    page.goto("/models")
    use = page.get_by_role("button", name=f"Use {other_version}")
    expect(use).to_be_visible()
    with running_stack.client() as client:
        client.post(f"/api/v1/models/{other_version}/promotion", json={}).raise_for_status()
        use.click()
        page.get_by_role("dialog").get_by_role("button", name="Use it").click()
        expect(page.get_by_role("alert")).to_contain_text("already")
        client.post("/api/v1/models/rollback", json={}).raise_for_status()
    complaints.clear()
