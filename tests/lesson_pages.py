"""The lesson in a real browser, for its tests: a page written once, and arithmetic asked of its script."""

import shutil

import numpy as np
import pytest

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The lesson's file."""
    from audio_lrp.learn import lesson_page

    path = tmp_path_factory.mktemp("lesson") / "lesson.html"
    path.write_text(lesson_page(), encoding="utf-8")
    return path


@pytest.fixture
def visit(browser, written):
    """Open a chapter offline, from its file; in the end nothing may have been logged or loaded."""
    contexts, logged, asked = [], [], []

    def go(chapter="", width=1280, height=900, **settings):
        contexts.append(
            browser.new_context(viewport={"width": width, "height": height}, offline=True, **settings)
        )
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{written.as_uri()}#{chapter}" if chapter else written.as_uri())
        return page

    yield go
    for context in contexts:
        context.close()
    assert logged == []
    assert all(url.startswith(("file:///", "blob:", "data:")) for url in asked)
    assert {url.partition("#")[0] for url in asked if url.startswith("file:")} <= {written.as_uri()}


def near(found, wanted, tolerance=1e-9):
    """Do numbers agree to 1e-9 of the largest?"""
    found, wanted = np.ravel(np.array(found, float)), np.ravel(np.array(wanted, float))
    assert found.shape == wanted.shape
    error = np.abs(found - wanted).max()
    assert error <= tolerance * max(np.abs(wanted).max(), 1e-3), error


COLUMNS = ("received", "passed", "bias", "stabilizer", "gated")


def ledger_of(e):
    """The ledger as the page has it: a row of COLUMNS for each layer, output first."""
    return [[float(getattr(line, name)) for name in COLUMNS] for line in e.ledger]
