"""Chromium without a network, steered by Playwright; pages that keep what they ask and complain."""

import contextlib
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
AXE = "4.14.1"

NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)
# Only this machine can be reached, and a page may open the speaker's window by itself.
FLAGS = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-popup-blocking"]
needs_chromium = pytest.mark.skipif(
    PROGRAM is None, reason="Chromium is not installed (Debian: apt-get install chromium)"
)


@contextlib.contextmanager
def launched():
    """Give a running browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM, args=FLAGS, chromium_sandbox=False
        )
        yield browser
        browser.close()


def open_page(browser, url, width=1280, height=720, **settings):
    """Open a page in a context of its own, by default with the stage of the slides.

    It has two attributes more: ``asked``, the addresses it asked for, data inside the page aside,
    and ``complaints``, the errors and warnings on its console.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, **settings)
    context.on("page", _watch)
    page = context.new_page()
    page.goto(url)
    return page


def _watch(page):
    page.asked, page.complaints = set(), []
    page.on("request", lambda r: r.url.startswith("data:") or page.asked.add(r.url))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda m: m.type in ("error", "warning") and page.complaints.append(m.text))


def axe_core():
    """Return axe-core's script; npm brings it the first time, or the test is skipped."""
    path = ROOT / "build" / "libraries" / f"axe-core-{AXE}.tgz"
    if not path.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("axe-core comes with npm, which is not installed")
        path.parent.mkdir(parents=True, exist_ok=True)
        call = [npm, "pack", f"axe-core@{AXE}", "--silent", "--fetch-retries=0"]
        done = subprocess.run(call, cwd=path.parent, capture_output=True, text=True)
        if not path.exists():
            pytest.skip(f"npm could not bring axe-core: {done.stderr.strip()[-200:]}")
    with tarfile.open(path) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()
