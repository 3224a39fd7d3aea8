"""The lesson in a real browser, for its tests: a page written once, and arithmetic asked of its script."""

import numpy as np
import pytest
from browser_pages import visits


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The lesson's file."""
    from audio_lrp.learn import lesson_page

    path = tmp_path_factory.mktemp("lesson") / "lesson.html"
    path.write_text(lesson_page(), encoding="utf-8")
    return path


@pytest.fixture
def visit(browser, written):
    """Open a chapter as `browser_pages.visits` does."""
    with visits(browser, written, height=900) as go:
        yield go


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
