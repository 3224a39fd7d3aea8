"""The timeline in a real browser: on a page of its own and in the report of a long recording."""
import click.testing
import numpy as np
import pytest
import soundfile
from browser_pages import visits
from test_timeline import FRONT_END, RATE

import lrp_core
from audio_lrp.cli import main
from lrp_core import layers as L


def loud_or_quiet(quiet, loud):
    """A network of the mean level: it tells two sounds apart by it, and never says "neither"."""
    low, high = (float(FRONT_END(y, RATE).mean()) for y in (quiet, loud))
    scale, middle = 20 / (high - low), (low + high) / 2
    kernel, bias = scale * np.float32([[1, -1, 0]]), scale * np.float32([-middle, middle, -100])
    return lrp_core.Network([("mean", L.GlobalAveragePool2D()), ("scores", L.Dense(kernel, bias)),
                             ("softmax", L.Softmax())], FRONT_END.network().output_shape,
                            class_names=("loud", "quiet", "neither"),
                            metadata={"front_end": FRONT_END.as_dict()})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """{"timeline", "report"}: the pages of a recording of ten seconds with a burst in its middle."""
    folder = tmp_path_factory.mktemp("pages")
    y = 0.01 * np.random.default_rng(0).standard_normal(10 * RATE)
    y[4 * RATE:6 * RATE] *= 30
    soundfile.write(folder / "burst.wav", y, RATE)
    loud_or_quiet(y[:RATE], y[4 * RATE:5 * RATE]).save(folder / "model.npz")
    for arguments in (["timeline", "-o", folder],
                      ["report", "-o", folder / "report.html", "--rules", "flat"]):
        command, *options = map(str, arguments)
        found = click.testing.CliRunner().invoke(
            main, [command, str(folder / "burst.wav"), "--model", str(folder / "model.npz"), *options])
        assert found.exit_code == 0, found.output
    return {"timeline": folder / "burst-timeline.html", "report": folder / "report.html"}


@pytest.fixture(params=["timeline", "report"])
def visit(request, browser, written):
    with visits(browser, written[request.param]) as go:
        yield go


def columns(page, name):
    """The number of pixels with ink in each column of a picture, without its labels and its axis."""
    return np.array(page.evaluate("""name => {
        const canvas = document.querySelector(`.strip .${name}`), ratio = devicePixelRatio;
        const [left, width] = [130 * ratio, canvas.width - 138 * ratio];
        const copy = new OffscreenCanvas(canvas.width, canvas.height)
            .getContext("2d", {willReadFrequently: true});
        copy.drawImage(canvas, 0, 0);
        const {data} = copy.getImageData(left, 0, width, canvas.height - 24 * ratio);
        return Array.from({length: width}, (_, x) => Array.from({length: canvas.height - 24 * ratio},
            (_, y) => data[4 * (y * width + x) + 3] > 0).filter(Boolean).length); }""", name))


def test_the_sound_stands_where_it_is(visit):
    ink = columns(visit(), "sound")
    share = len(ink) // 10
    assert ink[4 * share + 4:6 * share - 4].mean() > 8 * ink[:4 * share - 4].mean()


def test_it_zooms_moves_and_returns(visit):
    page = visit()
    whole = columns(page, "sound")
    page.focus(".strip")
    for key in ("+", "+", "+"):
        page.keyboard.press(key)  # around the middle, where the burst is
    assert columns(page, "sound").mean() > 1.5 * whole.mean()
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    assert columns(page, "sound").mean() < 0.5 * whole.mean()
    told = page.inner_text(".told")
    assert told.startswith("0:0") and "quiet, " in told
    page.keyboard.press("Home")
    page.mouse.move(0, 0)
    after = columns(page, "sound")
    assert abs(after - whole).max() <= 72 and np.mean(after != whole) < 0.01  # all but the cursor


def test_the_wheel_zooms_with_ctrl_and_else_scrolls_the_page(visit):
    page = visit(height=500)
    page.locator(".strip").scroll_into_view_if_needed()
    box = page.locator(".strip .sound").bounding_box()
    whole = columns(page, "sound").mean()
    # well inside: the first turn scrolls the page under the pointer
    page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -10)
    page.wait_for_timeout(100)
    assert columns(page, "sound").mean() == pytest.approx(whole, rel=0.05)
    page.keyboard.down("Control")
    for _ in range(4):
        page.mouse.wheel(0, -10)
    page.keyboard.up("Control")
    page.wait_for_timeout(100)
    assert columns(page, "sound").mean() > 1.3 * whole


def test_an_event_is_shown_by_its_button(visit):
    page = visit()
    buttons = page.locator("button[data-from]")
    assert buttons.count() >= 1
    buttons.first.click()
    assert page.inner_text(".told")


def test_it_fits_a_phone(visit):
    page = visit(width=390, height=800)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_is_heard_stands_where_the_events_say(visit):
    """Within each event its class is the brightest row, from its first moment to its last."""
    found = visit().evaluate("""() => {
        const text = document.getElementById("data")?.textContent;
        const data = text ? JSON.parse(text) : [...sounds.values()][0].data.timeline;
        const canvas = document.querySelector(".strip .heard"), width = canvas.clientWidth - 138;
        const context = new OffscreenCanvas(canvas.width, canvas.height)
            .getContext("2d", {willReadFrequently: true});
        context.drawImage(canvas, 0, 0);
        const light = (row, x) => context.getImageData(x, 22 * row + 11, 1, 1).data
            .slice(0, 3).reduce((sum, value) => sum + value);
        return data.events.flatMap(event => [0.01, 0.5, 0.99].map(share => {
            const time = event.start + share * (event.end - event.start);
            const rows = data.classes.map((_, row) => light(row, 130 + time / data.length * width));
            return [event.name, data.classes[rows.indexOf(Math.max(...rows))]];
        })); }""")
    assert {name for name, _ in found} == {"loud", "quiet"}
    assert all(name == brightest for name, brightest in found), found


def test_a_network_that_sees_all_of_the_spectrogram_has_no_coarser_one(browser, written):
    with visits(browser, written["report"]) as go:
        page = go()
        assert page.is_visible(".compare input") and not page.is_visible(".coarse input")
