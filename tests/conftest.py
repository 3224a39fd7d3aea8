"""What the tests share: where the real data would lie, and skips with a reason where it does not."""
import pathlib
import shutil

import numpy as np
import pytest

import audio_lrp
import lrp_core

CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"]
SHARED = pathlib.Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_levels():
    """The data set's level images by array name."""
    path = SHARED / "urbansound8k_mel64.npz"
    if not path.exists():
        pytest.skip("the data set's images are not at hand (shared/data beside the checkout)")
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def real_clips():
    """The paths of the real WAV clips, sorted."""
    paths = sorted((SHARED / "clips").glob("*.wav"))
    if not paths:
        pytest.skip("no real clips are at hand (shared/data/clips beside the checkout)")
    return paths


@pytest.fixture(scope="session")
def urban_sounds():
    """The embedded network."""
    return lrp_core.load(audio_lrp.EMBEDDED_MODEL)


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window."""
    sync_api = pytest.importorskip("playwright.sync_api",
                                   reason="pages are tested through the package playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: the pages cannot be tested")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()
