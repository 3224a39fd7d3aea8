"""Zoom, selection, comparison, files and links of the report's page, in a real browser."""
import csv
import io

import matplotlib.image
import numpy as np
import pytest
from report_pages import CLASSES, HOSTILE, unpack
from test_report_page import VIEWS, pixels, sound, visit, wait, written  # noqa: F401  (fixtures among them)

STATE = """(() => { const {span, selection, loop, time} = page.current;
    return {span, selection, loop, time}; })()"""


def state(page):
    return page.evaluate(STATE)


def box_of(page):
    """The place on the screen of the pictures' axis of time."""
    page.locator(".seek").first.scroll_into_view_if_needed()
    return page.locator(".seek").first.bounding_box()


def drag(page, start, end):
    """Drag over the pictures from one share of their width to another."""
    box = box_of(page)
    page.mouse.move(box["x"] + start * box["width"], box["y"] + 70)
    page.mouse.down()
    page.mouse.move(box["x"] + (start + end) / 2 * box["width"], box["y"] + 75)
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 70)
    page.mouse.up()


def red(page, view):
    """The columns of a picture that are red somewhere, 0 to 1 between its margins of 56 and 10 pixels."""
    shot = page.locator(f"#clip-1 .{view} canvas.view").first.screenshot()
    colours = matplotlib.image.imread(io.BytesIO(shot))[6:-34, 56:-10, :3]
    found = (colours[..., 0] > 0.5) & (colours[..., 1:].max(axis=-1) < 0.35)
    return np.flatnonzero(found.any(axis=0)) / colours.shape[1]


def test_all_pictures_zoom_together_around_the_pointer(visit, written):
    page = visit()
    relevance = np.maximum(unpack(written[1].json()[1][0]["explanations"][0][0]["map"]).reshape(64, 64), 0)
    moment = (relevance.max(axis=0).argmax() + 0.5) / 64  # where the map is reddest, of the whole
    before = [pixels(page, view) for view in ("waveform", "spectrogram", "relevance", "moments")]
    bands = pixels(page, "bands")
    box = box_of(page)
    page.mouse.move(box["x"] + moment * box["width"], box["y"] + 70)
    page.mouse.wheel(0, -20)  # alone it scrolls the page
    assert state(page)["span"] == [0, 4]
    page.keyboard.down("Control")
    box = box_of(page)
    page.mouse.move(box["x"] + moment * box["width"], box["y"] + 70)
    for _ in range(8):
        page.mouse.wheel(0, -20)
    page.keyboard.up("Control")
    page.wait_for_function("() => page.current.span[1] - page.current.span[0] < 0.7")
    start, end = state(page)["span"]
    assert end - start == pytest.approx(4 * 0.8 ** 8)
    assert (4 * moment - start) / (end - start) == pytest.approx(moment, abs=0.01), "under the pointer"
    after = [pixels(page, view) for view in ("waveform", "spectrogram", "relevance", "moments")]
    assert all(one != other for one, other in zip(before, after)) and pixels(page, "bands") == bands
    for view in ("relevance", "moments"):
        assert np.abs(red(page, view) - moment).min() < 0.02, f"{view}: the peak is where the wheel turned"
    page.click("#clip-1 [data-act=all]")
    assert state(page)["span"] == [0, 4]
    assert [pixels(page, view) for view in ("waveform", "spectrogram", "relevance", "moments")] == before


def test_zoom_by_buttons_and_keys_stays_in_the_sound(visit):
    page = visit()
    assert page.is_disabled("#clip-1 [data-act=out]") and page.is_disabled("#clip-1 .pan")
    page.click("#clip-1 [data-act=in]")
    assert state(page)["span"] == [1, 3]
    page.fill("#clip-1 .pan", "2")
    assert state(page)["span"] == [2, 4]
    page.focus("#clip-1 .seek")
    page.keyboard.press("End")
    for key in ("+", "+", "+", "-"):
        page.keyboard.press(key)
    start, end = state(page)["span"]
    assert end <= 4 and end - start == pytest.approx(2 * 0.7 ** 3 * 1.4)
    page.keyboard.press("Home")
    assert state(page)["span"] == pytest.approx([0, end - start]), "what is shown follows the cursor"
    assert sound(page)["cursors"] == pytest.approx([0] * VIEWS, abs=1e-3)
    page.keyboard.press("0")
    assert state(page)["span"] == [0, 4]
    for _ in range(40):
        page.keyboard.press("+")
    start, end = state(page)["span"]
    assert end - start == pytest.approx(0.02)


def test_the_pointer_tells_values_of_what_is_shown(visit):
    page = visit()
    page.evaluate("page.current.show([1, 2])")
    box_of(page)
    box = page.locator("#clip-1 .relevance canvas.view").first.bounding_box()
    page.mouse.move(box["x"] + 56 + 0.3 * (box["width"] - 66), box["y"] + 6 + 0.5 * (box["height"] - 40))
    cell = page.evaluate("page.current.panes[0].map[32 * COLUMNS + Math.floor(1.3 / 4 * COLUMNS)]")
    words = page.inner_text("#clip-1 .pointed").replace("\u2212", "-")
    assert words.startswith("1.30 s, ") and float(words.rsplit(" ", 1)[1]) == pytest.approx(cell, rel=0.05)


@pytest.mark.parametrize("which", ["original", "part", "rest"])
def test_what_is_selected_is_played_and_repeated(visit, which):
    page = visit()
    drag(page, 0.1, 0.2)
    assert state(page)["selection"] == pytest.approx([0.4, 0.8], abs=0.02)
    assert page.inner_text("#clip-1 .selected").startswith("0.")
    page.click(f"#clip-1 [data-sound={which}]")
    wait(page, "one.player.source")
    assert state(page)["time"] > 0.38, "it begins at the selection"
    wait(page, "one.playing === null")
    assert state(page)["time"] == pytest.approx(0.8, abs=0.02), "and stops at its end"
    assert page.evaluate("speakers.currentTime - page.current.player.now") < 3, "not that of the sound"
    page.check("#clip-1 .loop input")
    page.evaluate("""() => { window.times = [];
        const {current} = page, {move} = current;
        current.move = function (time) { window.times.push(time); move.call(this, time); }; }""")
    page.click(f"#clip-1 [data-sound={which}]")
    page.wait_for_function(
        "() => window.times.filter((time, n) => time < window.times[n - 1] - 0.2).length >= 2")
    times = np.array(page.evaluate("window.times"))
    assert times.min() >= 0.38 and times.max() <= 0.82 and sound(page)["playing"] == which
    page.uncheck("#clip-1 .loop input")
    wait(page, "one.playing === null")


def test_selecting_by_keys_and_buttons(visit):
    page = visit()
    page.focus("#clip-1 .seek")
    for key in ("Shift+ArrowRight", "i", "PageUp", "o"):
        page.keyboard.press(key)
    assert state(page)["selection"] == pytest.approx([1, 1.5])
    page.keyboard.press("l")
    assert state(page)["loop"] and page.is_checked("#clip-1 .loop input")
    page.click("#clip-1 [data-act=closer]")
    assert state(page)["span"] == pytest.approx([1, 1.5])
    shown = page.locator("#clip-1 .selection").first.bounding_box()
    box = page.locator("#clip-1 .seek").bounding_box()
    assert shown["x"] == pytest.approx(box["x"], abs=1)
    assert shown["width"] == pytest.approx(box["width"], abs=2)
    page.focus("#clip-1 .seek")
    page.keyboard.press("Escape")
    assert state(page)["selection"] is None and page.is_disabled("#clip-1 [data-act=clear]")
    page.evaluate("page.current.seek(1.25)")
    page.click("#clip-1 [data-act=end]")
    assert state(page)["selection"] == pytest.approx([0, 1.25])
    page.click("#clip-1 [data-act=all]")
    drag(page, 0.8, 0.7)  # from right to left
    assert state(page)["selection"] == pytest.approx([2.8, 3.2], abs=0.02)
    box = box_of(page)
    page.mouse.click(box["x"] + 0.1 * box["width"], box["y"] + 70)
    assert state(page)["selection"] is None, "a click elsewhere clears it"


def fingers(page):
    """A function that puts fingers at places 0..1 across the pictures, moves or lifts them."""
    box, client = box_of(page), page.context.new_cdp_session(page)

    def touch(kind, *places):
        points = [{"x": box["x"] + place * box["width"], "y": box["y"] + 70, "id": number}
                  for number, place in enumerate(places)]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    return touch


def test_two_fingers_zoom(visit):
    page = visit(width=390, height=844, has_touch=True)
    touch = fingers(page)
    touch("touchStart", 0.4)
    touch("touchStart", 0.4, 0.6)
    touch("touchMove", 0.3, 0.7)
    touch("touchMove", 0.2, 0.8)
    touch("touchEnd")
    start, end = state(page)["span"]
    assert [start, end] == pytest.approx([2 - 2 / 3, 2 + 2 / 3], abs=0.05)
    assert state(page)["selection"] is None


def test_a_second_finger_ends_a_selection_that_was_begun(visit):
    page = visit(width=390, height=844, has_touch=True)
    touch = fingers(page)
    touch("touchStart", 0.3)
    touch("touchMove", 0.5)
    assert state(page)["selection"] == pytest.approx([1.2, 2.0], abs=0.1)
    touch("touchStart", 0.5, 0.7)
    assert state(page)["selection"] is None, "as before the drag"
    touch("touchEnd")
    assert state(page)["selection"] is None and state(page)["span"] == [0, 4]


def test_two_explanations_one_above_the_other(visit, written):
    page = visit()
    assert not page.is_visible("#clip-1 .relevance[data-pane='1']")
    page.check("#clip-1 .compare input")
    second = "#clip-1 .relevance[data-pane='1'] canvas.view"
    words = written[1].json()[1][0]["explanations"][1][0]["words"]  # the same class by the other preset
    assert words in page.get_attribute(second, "aria-label")
    assert page.inner_text("#clip-1 .words.with") == f"Compared with {words}"
    drawn = "path => document.querySelector(path).toDataURL()"
    first = pixels(page, "relevance")
    assert page.evaluate(drawn, second) != first
    page.select_option("#clip-1 .other [name=rules]", label="epsilon")
    assert page.evaluate(drawn, second) == first, "the same explanation is the same picture"
    page.select_option("#clip-1 .other [name=classes]", index=1)
    assert page.evaluate(drawn, second) != first
    heights = [page.locator(f"#clip-1 .relevance[data-pane='{pane}'] canvas.view").bounding_box()
               for pane in (0, 1)]
    assert heights[0]["x"] == heights[1]["x"] and heights[0]["width"] == heights[1]["width"]
    assert len(sound(page)["cursors"]) == VIEWS + 2
    page.uncheck("#clip-1 .compare input")
    assert not page.is_visible(second)


def saved(page, act, path):
    with page.expect_download() as found:
        page.click(f"#clip-1 [data-act={act}]")
    found.value.save_as(path)
    assert found.value.suggested_filename in page.inner_text("#clip-1 .answer")
    return found.value.suggested_filename


def test_the_numbers_are_saved_as_a_table(visit, written, tmp_path):
    page = visit()
    common, (data, _) = written[1].json()
    name = saved(page, "numbers", tmp_path / "all.csv")
    assert name == f"siren-epsilon-{data['classes'][0]}.csv"
    rows = list(csv.reader((tmp_path / "all.csv").open(newline="")))
    assert rows[0] == ["seconds", "hertz", "relevance"]
    table = np.array(rows[1:], float).reshape(64, 64, 3)
    np.testing.assert_allclose(table[..., 2], unpack(data["explanations"][0][0]["map"]).reshape(64, 64),
                               rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(table[0, :, 0], (np.arange(64) + 0.5) / 16, rtol=1e-5)
    assert table[0, 0, 1] > 15_000 and table[-1, 0, 1] < 100 and (np.diff(table[:, 0, 1]) < 0).all()
    page.evaluate("page.current.show([1, 2])")
    page.check("#clip-1 .compare input")
    saved(page, "numbers", tmp_path / "part.csv")
    rows = list(csv.reader((tmp_path / "part.csv").open(newline="")))
    part = np.array(rows[1:], float).reshape(64, 16, 4)
    assert rows[0] == ["seconds", "hertz", "relevance", "compared"]
    np.testing.assert_array_equal(part[..., :3], table[:, 16:32])
    other = unpack(data["explanations"][1][0]["map"]).reshape(64, 64)
    np.testing.assert_allclose(part[..., 3], other[:, 16:32], rtol=1e-5, atol=1e-12)


def test_the_pictures_are_saved_as_they_are_shown(visit, tmp_path):
    page = visit()
    before = pixels(page, "relevance")
    assert saved(page, "picture", tmp_path / "it.png").endswith(".png")
    page.wait_for_function("""before =>
        document.querySelector('.relevance canvas.view').toDataURL() === before""", arg=before)
    shot = matplotlib.image.imread(tmp_path / "it.png")[..., :3]
    box = page.locator("#clip-1 .views").bounding_box()
    width, height = 2 * box["width"] + 48, 2 * box["height"]  # with a margin of 12 pixels at each side
    assert shot.shape[1] == pytest.approx(width, abs=2) and shot.shape[0] > height
    head = round(shot.shape[0] - height - 24)
    assert shot[4, 4].min() == 1 and shot[:head].min() < 0.3, "a title on the page's ground"
    view = page.locator("#clip-1 .relevance canvas.view").first.bounding_box()
    left, top = (round(2 * (view[side] - box[side])) for side in "xy")
    drawn = shot[head + top:head + top + round(2 * view["height"]),
                 24 + left:24 + left + round(2 * view["width"])]
    found = (drawn[..., 0] > 0.5) & (drawn[..., 1:].max(axis=-1) < 0.35)
    columns = np.flatnonzero(found[12:-68, 112:-20].any(axis=0)) / (drawn.shape[1] - 132)
    shown = red(page, "relevance")
    assert columns.min() == pytest.approx(shown.min(), abs=0.02)
    assert columns.max() == pytest.approx(shown.max(), abs=0.02)


def test_a_link_holds_what_is_shown(visit):
    page = visit()
    page.click("#clip-2 .classes label:nth-of-type(2)")
    page.click("#clip-2 .rules label:nth-of-type(2)")
    page.evaluate("""() => { const one = [...sounds.values()][1]; page.choose(one);
        one.show([1, 3]); one.select([1.5, 2]); }""")
    page.check("#clip-2 .compare input")
    page.fill("#clip-2 .under input", "40")
    page.wait_for_function("() => location.hash.includes('under=0.4')")
    link = page.evaluate("location.hash.slice(1)")
    other = visit(link)
    assert other.evaluate(STATE) == {**page.evaluate(STATE), "time": 1.5, "loop": False}
    for what in ("words", "words.with"):
        assert other.inner_text(f"#clip-2 .{what}") == page.inner_text(f"#clip-2 .{what}")
    assert other.evaluate("page.current.under") == 0.4 and other.evaluate("scrollY") > 500
    other.evaluate("location.hash = 'clip-1&zoom=1-2'")
    other.wait_for_function("() => page.current.section.id === 'clip-1' && page.current.span[0] === 1")
    other.click("#clip-1 [data-act=link]")
    other.wait_for_function("() => document.querySelector('#clip-1 .answer').textContent.includes('link')")


@pytest.mark.parametrize("fragment", [
    "clip-9", "nothing&class=siren", "clip-1&class=none&rules=&zoom=3-1&select=x&with=siren&by=none&under=7",
    "clip-1&zoom=-1-2&select=1-99", "%E0%A4%A&&&=", "clip-1&zoom=1-2-3&select=NaN-Infinity",
    "clip-1%26%3Cb%3E&class=__proto__"])
def test_a_link_that_makes_no_sense_is_left_aside(visit, fragment):
    page = visit(fragment)
    assert state(page) == {"span": [0, 4], "selection": None, "loop": False, "time": 0}
    assert page.inner_text("#clip-1 .words").startswith("siren by epsilon")
    assert not page.is_checked("#clip-1 .compare input")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_list_leads_to_every_sound(visit, width):
    page = visit(width=width)
    here = page.locator("nav .here")
    assert here.inner_text() == "1 of 2: siren.flac" and page.is_disabled("[data-by='-1']")
    page.click("[data-by='1']")
    page.wait_for_function("() => scrollY > 500")
    assert here.inner_text().startswith("2 of 2: ") and here.inner_text().endswith(HOSTILE)
    assert page.locator("nav").bounding_box()["y"] == pytest.approx(0, abs=1), "it stays in sight"
    page.wait_for_function("() => document.querySelector('#clip-2').getBoundingClientRect().top < 120")
    page.keyboard.press("Shift+PageUp")
    assert here.inner_text().startswith("1 of 2")
    page.click("nav summary")
    page.fill("nav [type=search]", "zzz")
    assert page.is_visible("nav .none") and page.locator("nav li:visible").count() == 0
    page.fill("nav [type=search]", HOSTILE[2:6].upper())
    assert page.locator("nav li:visible").count() == 1 and not page.is_visible("nav .none")
    page.keyboard.press("Enter")
    assert here.inner_text().startswith("2 of 2") and not page.is_visible("nav .panel")
    page.click("nav summary")
    page.keyboard.press("Escape")
    assert not page.is_visible("nav .panel")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_names_of_classes_are_found_in_the_list(visit, written):
    page = visit()
    page.click("nav summary")
    heard = [data["classes"][0] for data in written[1].json()[1]]
    for name in CLASSES:
        page.fill("nav [type=search]", name)
        assert page.locator("nav li:visible").count() == heard.count(name)
