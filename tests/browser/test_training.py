"""Training as an admin meets it: material, a run that is watched, its comparison, the schedule."""

import io
import re

import pytest
from PIL import Image

from shipped import SHIPPED_VERSION

expect = pytest.importorskip("playwright.sync_api").expect

TRAINING_TIMEOUT_MS = 600_000
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
CROP_PX = 110
STRIDE_PX = 60
FEW_STEPS = 4
LITTLE_WORK = {"size_px": 32, "batch_size": 2, "validation_count": 2, "sample_count": 1}
ON_A_RUNS_PAGE = re.compile("/training/runs/[0-9a-f]{32}$")


def crops_of(content):
    """PNG bytes of overlapping pieces of a photograph."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    for top in range(0, picture.height - CROP_PX, STRIDE_PX):
        for left in range(0, picture.width - CROP_PX, STRIDE_PX):
            buffer = io.BytesIO()
            picture.crop((left, top, left + CROP_PX, top + CROP_PX)).save(buffer, "PNG")
            yield buffer.getvalue()


@pytest.fixture(scope="module")
def pieces(photographs):
    """More than a hundred small color photographs by path, no two alike."""
    return {f"{name}/{k}.png": crop for name, photo in photographs.items() for k, crop in enumerate(crops_of(photo))}


@pytest.fixture(scope="module")
def material(running_stack, wait_until, pieces, make_zip):
    """The same as material that was read."""
    with running_stack.client() as client:
        answer = client.post("/api/v1/training-material", params={"filename": "pieces.zip"}, content=make_zip(pieces))
        address = answer.raise_for_status().json()["uploads"][0]["links"]["self"]
        return wait_until(lambda: (found := client.get(address).json())["state"] == "ready" and found, 120)


@pytest.fixture(scope="module")
def run_path(running_stack, wait_until, material):
    """The page of a short run that is over; in the end the model that came with the program is in use again."""
    options = {"recipe": "quick", "options": {"steps": FEW_STEPS, **LITTLE_WORK}}
    with running_stack.client() as client:
        shipped = client.get("/api/v1/models").json()["active"]
        address = client.post("/api/v1/training-runs", json=options).raise_for_status().json()["links"]["self"]
        run = wait_until(lambda: (found := client.get(address).json())["finished_at"] and found, 900)
        assert run["state"] == "completed", run
        yield f"/training/runs/{run['id']}"
        if client.get("/api/v1/models").json()["active"] != shipped:
            client.post(f"/api/v1/models/{shipped}/promotion", json={}).raise_for_status()


def test_an_upload_is_counted_in_words_and_can_be_withdrawn(page, pieces, gray_jpegs, make_zip):
    contents = {f"{index}.png": content for index, content in enumerate(list(pieces.values())[::7][:9])}
    contents |= {
        "again.png": contents["0.png"],
        "gray.jpg": gray_jpegs["coffee"],
        "broken.jpg": b"\xff\xd8\xff\xe0 none",
    }
    file = {"name": "Müller.zip", "mimeType": "application/zip", "buffer": make_zip(contents)}
    page.goto("/training")
    page.locator("#pick-files").set_input_files(file)
    row = page.locator(".material-row", has_text="Müller.zip").first
    expect(row).to_contain_text("usable photograph")
    for left_out in ("1 black and white", "1 unreadable", "1 that were there already"):
        expect(row).to_contain_text(left_out)
    row.get_by_role("button", name="Withdraw Müller.zip").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep it").click()
    expect(row).to_contain_text("usable photograph")
    row.get_by_role("button", name="Withdraw Müller.zip").click()
    page.get_by_role("dialog").get_by_role("button", name="Withdraw it").click()
    expect(row).to_contain_text("Withdrawn, and its photographs deleted")
    expect(row.get_by_role("button")).to_have_count(0)


def test_a_run_is_started_watched_and_canceled(page, material):
    page.goto("/training")
    expect(page.locator("#material-summary")).to_contain_text("usable photographs")
    page.get_by_label("How").first.select_option("Quick trial")
    page.locator(".more-options summary").click()
    page.get_by_label("Number of steps").fill("1000")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(ON_A_RUNS_PAGE)
    expect(page.locator("#run-state")).to_have_text("Learning from the photographs.", timeout=TRAINING_TIMEOUT_MS)
    curve = page.get_by_role("img", name=re.compile(r"L1: .* at step \d+"))
    expect(curve).to_be_visible(timeout=TRAINING_TIMEOUT_MS)
    expect(page.locator("#run-numbers")).to_contain_text(re.compile(r"step [\d,]+ of 1,000"))
    page.get_by_role("button", name="Cancel the run").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the run").click()
    expect(page.locator("#run-state")).to_have_text("Canceled. No model came out of it.", timeout=TRAINING_TIMEOUT_MS)
    page.get_by_role("link", name="Training").last.click()
    expect(page.locator("#runs .job-row").first).to_contain_text("Canceled")


def test_a_run_shows_its_comparison_its_pictures_and_its_curves(page, run_path):
    page.goto(run_path)
    expect(page.locator("#run-state")).to_contain_text("it did not prove better")
    expect(page.locator("#verdict-reason")).not_to_be_empty()
    table = page.get_by_role("table", name=re.compile("Your collection"))
    expect(table.get_by_role("row", name=re.compile("^Color difference"))).to_be_visible()
    expect(table.get_by_role("columnheader")).to_have_text(["Number", "New model", "In use", "Gray", "What that means"])

    divider = page.get_by_role("slider", name=f"Divider between “Before” and “New model, step {FEW_STEPS}”")
    expect(divider).to_have_attribute("aria-valuenow", "50")
    page.get_by_label("Beside it").select_option("The true colors")
    expect(page.get_by_role("slider", name=re.compile("True colors"))).to_be_visible()

    expect(page.get_by_role("img", name=re.compile("ΔE00: .* at step 0"))).to_be_visible()
    page.get_by_text("These numbers as a table").click()
    numbers = page.locator("#points-table table")
    expect(numbers.get_by_role("rowheader")).to_contain_text([str(FEW_STEPS)])
    expect(numbers.get_by_role("columnheader", name="Error of colorfulness")).to_be_visible()


def test_its_model_is_put_in_use_colors_a_picture_and_is_left_again(page, run_path, camera):
    page.goto(run_path)
    use = page.get_by_role("button", name=re.compile("^Use quick-"))
    version = use.inner_text().removeprefix("Use ")
    use.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It did not prove better than the one in use.")
    dialog.get_by_role("textbox").fill("To see it on our own scans")
    page.keyboard.press("Enter")
    expect(page.locator("#run-told")).to_contain_text(f"{version} is in use.")
    expect(use).to_be_hidden()

    page.goto("/")
    page.locator("#pick-files").set_input_files(camera)
    expect(page.locator("#single")).to_contain_text(f"a guess by model {version}", timeout=TRAINING_TIMEOUT_MS)

    page.goto("/models")
    expect(page.locator(".model-name").first).to_have_text(version)
    page.get_by_role("button", name=re.compile("^Go back to ")).click()
    page.get_by_role("dialog").get_by_role("button", name="Go back to it").click()
    expect(page.locator("#models-told")).to_contain_text("is in use")
    expect(page.locator(".history li").nth(1)).to_contain_text("To see it on our own scans")
    expect(page.locator(".model-row.active .model-name")).to_have_text(SHIPPED_VERSION)


def test_the_schedule_tells_its_next_time_and_refuses_nonsense(page, complaints):
    page.goto("/training")
    form = page.locator("#schedule-form")
    expect(form.get_by_label("When to look")).to_have_value("0 3 * * 0")
    form.get_by_label("Train when there is enough new material").check()
    form.get_by_label("When to look").select_option("At another time")
    cron = form.get_by_label("The time as cron text, in UTC")
    cron.fill("every friday")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("cron")
    expect(cron).to_be_focused()
    complaints.clear()

    cron.fill("30 22 * * 5")
    form.get_by_label("Only with at least so many new photographs").fill("250")
    form.get_by_role("button", name="Save").click()
    expect(page.locator("#schedule-next")).to_contain_text("Saved. Looks next on")
    page.reload()
    expect(cron).to_have_value("30 22 * * 5")
    expect(form.get_by_label("Only with at least so many new photographs")).to_have_value("250")
    form.get_by_label("When to look").select_option("Sunday nights, at 3:00 UTC")
    form.get_by_label("Train when there is enough new material").uncheck()
    form.get_by_role("button", name="Save").click()
    expect(page.locator("#schedule-next")).to_contain_text("Switched off")


def test_the_pages_of_training_fit_a_phone_and_the_dark(phone, open_page, signed_in, run_path):
    dark = open_page(signed_in, color_scheme="dark")
    for path in ("/training", run_path, "/models"):
        dark.goto(path)
        dark.wait_for_load_state("networkidle")
        phone.goto(path)
        phone.wait_for_load_state("networkidle")
        assert phone.evaluate(SIDEWAYS) <= 0, path
