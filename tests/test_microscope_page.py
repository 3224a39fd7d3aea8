"""The microscope in a real browser, on a page with nothing else: it draws what the engine computed, follows
clicks and keys, and neither logs nor asks for anything.
"""
import io

import matplotlib.image
import numpy as np
import pytest
import test_microscope
from browser_pages import visits
from report_pages import unpack

import lrp_core
from audio_lrp.microscope_data import page_data
from audio_lrp.page import as_json, embedded

one = test_microscope.one
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>microscope</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src {script_hash}; style-src {style_hash}; img-src data:">
<link rel="icon" href="data:,"><meta name="color-scheme" content="light dark"><style>{style}</style>
<div class="microscope"><script type="application/json">{data}</script></div>
<script>{script}</script></html>"""


@pytest.fixture(scope="module")
def page_and_data(one, tmp_path_factory):
    data = page_data(one, top=4)
    (style, style_hash), (script, script_hash) = embedded("microscope.css"), embedded("microscope.js")
    path = tmp_path_factory.mktemp("page") / "microscope.html"
    path.write_text(PAGE.format(style=style, style_hash=style_hash, script=script, script_hash=script_hash,
                                data=as_json(data)), encoding="utf-8")
    return path, data


@pytest.fixture
def visit(browser, page_and_data):
    """Open the page as `browser_pages.visits` does."""
    with visits(browser, page_and_data[0], width=1100) as go:
        yield go


LABELS = "all => all.map(one => one.getAttribute('aria-label'))"
DRAWN = "document.querySelector('canvas').toDataURL()"


def number(text):
    return float(text.replace("\u2212", "-"))


def shown(page):
    """{what a channel is called: the relevance that is written to it}."""
    labels = page.eval_on_selector_all(".channel", LABELS)
    return {name: number(r) for name, r in (label.rsplit(": relevance ", 1) for label in labels)}


def pressed(page):
    return page.eval_on_selector_all(".channel[aria-pressed=true]", LABELS)


def lit(page):
    return page.locator("line.message").count()


def test_channels_and_messages_are_the_engines(visit, page_and_data, one):
    page, (_, data), found = visit(), page_and_data, {}
    for column in data["columns"][:-1]:
        r = one.e.layers[column["node"]]
        for channel in column["channels"]:
            word = channel["name"] if column["node"] == "scores" else f"channel {channel['channel']}"
            found[f"{column['node']}, {word}"] = r[..., channel["channel"]].sum()
    labels = shown(page)
    assert labels.pop("the input") == pytest.approx(one.e.relevance.sum(), rel=5e-3)
    assert labels == {name: pytest.approx(r, rel=5e-3) for name, r in found.items()}
    assert page.locator("line").count() == len(data["links"])
    # A channel: who gave most to it, by passes of relevance from each channel above.
    column = next(c for c in data["columns"] if c["node"] == "conv/2,b")
    channel = column["channels"][0]["channel"]
    page.click(f"[aria-label^='conv/2,b, channel {channel}']")
    scope = lrp_core.Microscope(one.e)
    hidden = next(c for c in data["columns"] if c["node"] == "hidden")["channels"]
    given = {}
    for above in hidden:
        alone = np.zeros_like(scope.relevance["hidden"])
        alone[..., above["channel"]] = scope.relevance["hidden"][..., above["channel"]]
        given[above["channel"]] = scope.spread("hidden", alone)["conv/2,b"][..., channel].sum()
    most = max(given, key=lambda k: abs(given[k]))
    words = page.inner_text(".words").replace("\u2212", "-")
    assert f"{given[most]:.3g} from hidden, channel {most}" in words
    assert words.startswith(f"conv/2,b, channel {channel}: relevance") and "It gives" in words
    assert len(pressed(page)) == 1 and lit(page) == sum(
        [2, 0] in (link[:2], link[2:4]) for link in data["links"])
    assert page.locator("line.path").count() == 1  # from that channel of hidden up to the score


def test_a_part_of_the_sound_shows_what_comes_through_each_channel(visit, page_and_data):
    page, (_, data) = visit(), page_and_data
    cell = int(np.abs(unpack(data["map"])).argmax())
    row, across = divmod(cell, data["across"])
    box = page.locator("canvas").bounding_box()
    page.mouse.click(box["x"] + (across + 0.5) / data["across"] * box["width"],
                     box["y"] + (row + 0.5) / data["rows"] * box["height"])
    labels = shown(page)
    for column in data["columns"][:-1]:
        for channel in column["channels"]:
            word = channel["name"] if column["node"] == "scores" else f"channel {channel['channel']}"
            part = unpack(channel["map"])[cell]
            assert labels[f"{column['node']}, {word}"] == pytest.approx(part, rel=5e-3)
    start = across / data["across"] * data["seconds"]
    assert page.inner_text(".words").startswith(f"{start:.2f} to ") and "At each layer" in page.inner_text(
        ".words")
    assert 1 <= page.locator("line.path").count() < len(data["columns"])
    page.click("text=Show all")
    assert shown(page)["the input"] == pytest.approx(unpack(data["map"]).sum(), rel=5e-3)


def test_keys_do_all_of_it(visit, page_and_data):
    page, (_, data) = visit(), page_and_data
    page.keyboard.press("Tab")  # the first channel
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    second = data["columns"][2]["channels"][1]["channel"]
    assert pressed(page)[0].startswith(f"conv/2,b, channel {second}: ")
    map_of_channel = page.evaluate(DRAWN)
    page.keyboard.press("Escape")
    unframed = page.evaluate(DRAWN)
    assert pressed(page) == [] and page.evaluate(DRAWN) != map_of_channel
    page.keyboard.press("Tab")  # the map, framed where the keys are
    assert page.evaluate(DRAWN) != unframed
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    wanted = unpack(data["map"])[2 * data["across"] + 1]
    assert shown(page)["the input"] == pytest.approx(wanted, rel=5e-3, abs=1e-12)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # the button
    assert shown(page)["the input"] == pytest.approx(unpack(data["map"]).sum(), rel=5e-3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_can_be_read(visit, scheme, width):
    """No page wider than the screen; circles, words and the map are there to see, light and dark."""
    page = visit(width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shot = matplotlib.image.imread(io.BytesIO(page.locator(".microscope").screenshot()))[..., :3]
    assert (shot.mean() > 0.7) == (scheme == "light") and shot.std() > 0.03
    red = (shot[..., 0] > 0.6) & (shot[..., 1] < 0.3)
    assert red.sum() > 100
