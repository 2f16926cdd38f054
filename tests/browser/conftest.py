"""A real browser on a real stack: pages that complain when the browser does, drops, and a look at pixels."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
Browser, BrowserContext, Page = sync_api.Browser, sync_api.BrowserContext, sync_api.Page

COLORIZING_TIMEOUT_MS = 120_000
ANSWER_TIMEOUT_MS = 30_000
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
NAME = "admin"
WORDS = "a lantern over the river"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

MEAN_CHROMA = """async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) {
    sum += Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]);
  }
  return sum / (data.length / 4);
}"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: GRAY2HUE_CHROMIUM, or the first one found on the PATH."""
    program = os.environ.get("GRAY2HUE_CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium here; GRAY2HUE_CHROMIUM may name one")
    sync_api.expect.set_options(timeout=ANSWER_TIMEOUT_MS)
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def signed_in(browser, running_stack):
    """The cookies of a person who has set the password by the one-time link."""
    context = browser.new_context(base_url=running_stack.address)
    page = context.new_page()
    page.goto(running_stack.setup_link)
    page.get_by_label("Password", exact=True).fill(WORDS)
    page.get_by_label("The same again").fill(WORDS)
    page.get_by_role("button", name="Set the password").click()
    page.wait_for_url(f"{running_stack.address}/")
    cookies = context.storage_state()
    context.close()
    return cookies


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about: errors in its console, CSP violations among them, and uncaught exceptions."""
    return []


@pytest.fixture
def open_page(browser, running_stack, complaints) -> Iterator[Callable[..., Page]]:
    """Opens a fresh browser window on the stack; at the end nothing may have been complained about in any of them."""
    contexts: list[BrowserContext] = []

    def open_one(cookies=None, viewport=DESKTOP, **options) -> Page:
        context = browser.new_context(
            base_url=running_stack.address, storage_state=cookies, viewport=viewport, **options
        )
        context.set_default_timeout(ANSWER_TIMEOUT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on(
            "console",
            lambda message: complaints.append(f"{page.url}: {message.text}") if message.type == "error" else None,
        )
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page, signed_in) -> Page:
    """A window of the person who is signed in, on the start page."""
    opened = open_page(signed_in)
    opened.goto("/")
    return opened


@pytest.fixture
def phone(open_page, signed_in) -> Page:
    """The same person's phone."""
    return open_page(signed_in, viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)


@pytest.fixture
def drop() -> Callable[..., None]:
    """Drags files and folders of the disk over a page and lets them go, as the browser itself does it."""

    def drop_paths(page: Page, *paths: Path) -> None:
        devtools = page.context.new_cdp_session(page)
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 400, "data": data})
        devtools.detach()

    return drop_paths


@pytest.fixture
def mean_chroma() -> Callable[[Page, str], float]:
    """How far apart the channels of a picture's pixels are on average, 0 (gray) to 255, as the browser draws it."""

    def measure(page: Page, url: str) -> float:
        return float(page.evaluate(MEAN_CHROMA, url))

    return measure


@pytest.fixture
def finished() -> Callable[[Page], None]:
    """Waits until the job whose page is open is over."""

    def wait(page: Page) -> None:
        state = page.locator("#job-state")
        sync_api.expect(state).to_contain_text("Finished", timeout=COLORIZING_TIMEOUT_MS)

    return wait


@pytest.fixture(scope="session")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gray photograph that scikit-image carries."""
    from PIL import Image
    from skimage import data

    path = tmp_path_factory.mktemp("camera") / "camera.png"
    Image.fromarray(data.camera()).save(path)
    return path
