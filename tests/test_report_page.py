"""The report's page in a real browser: it plays, switches, follows, fits, and neither logs nor asks for
anything.
"""
import base64
import io
import re

import matplotlib.image
import numpy as np
import pytest
from browser_pages import visits
from report_pages import small_model, unpack, write_report

from audio_lrp import report_data


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return write_report(folder, small_model(folder)[1])


@pytest.fixture
def visit(browser, written):
    """Open the report as `browser_pages.visits` does."""
    with visits(browser, written[0]) as go:
        yield go


def sound(page, number=0):
    """The state of one sound at one moment: what plays, and where the cursor stands in each view, 0 to 1."""
    return page.evaluate("""number => { const [section, one] = [...sounds][number];
        const box = one.slider.getBoundingClientRect();
        const lines = [...section.querySelectorAll(".playhead")].filter(line => line.offsetParent);
        return {time: one.time, playing: one.playing, heard: one.player.source !== null,
                cursors: lines.map(line => line.getBoundingClientRect()).map(
                    line => ((line.left + line.right) / 2 - box.left) / box.width)}; }""", number)


def pixels(page, view):
    return page.evaluate("view => document.querySelector(`.${view} canvas.view`).toDataURL()", view)


def wait(page, condition):
    page.wait_for_function(f"() => {{ const one = [...sounds.values()][0]; return {condition}; }}",
                           timeout=10_000)


VIEWS = 4  # pictures with a cursor: waveform, spectrogram, map, moments


def test_it_plays_and_the_cursor_follows(visit):
    page = visit()
    page.click("text=Play original")
    wait(page, "one.time > 0.4")
    state = sound(page)
    assert state["playing"] == "original" and state["heard"]
    assert state["time"] > 0.4 and state["cursors"] == pytest.approx([state["time"] / 4] * VIEWS, abs=1e-3)
    # The part takes over where the original is.
    page.evaluate("page.current.seek(1.5)")
    wait(page, "one.time > 1.5 && one.player.source")
    state = sound(page)
    page.click("text=Play relevant part")
    wait(page, "one.playing === 'part' && one.player.source")
    before, state = state, sound(page)
    assert state["time"] >= before["time"]
    assert state["cursors"] == pytest.approx([state["time"] / 4] * VIEWS, abs=1e-3)
    # Another class takes over too.
    page.click(".clip:first-of-type .classes label:nth-of-type(2)")
    wait(page, "one.playing === 'part' && one.player.source")
    page.click("text=Pause relevant part")
    stopped = sound(page)
    assert not stopped["heard"] and stopped["time"] >= state["time"]
    page.wait_for_timeout(150)
    assert sound(page)["time"] == stopped["time"]
    # The cursor is there to see: black, white, black over the whole height of each picture.
    line = page.locator("#clip-1 .relevance .playhead").first
    shot = matplotlib.image.imread(io.BytesIO(line.screenshot()))
    line = shot[shot.shape[0] // 2, :, :3].mean(axis=-1)
    assert shot.shape[0] > 150 and line.max() == 1 and sorted(line)[1] < 0.6
    assert page.locator(".position").first.inner_text() == f"{stopped['time']:.2f} s of 4 s"


def test_it_stops_at_the_end_and_begins_again(visit):
    page = visit()
    page.evaluate("page.current.seek(3.9)")
    page.click("text=Play original")
    wait(page, "one.playing === null")
    assert sound(page)["time"] == 4 and sound(page)["cursors"] == pytest.approx([1] * VIEWS, abs=1e-3)
    page.click("text=Play original")
    wait(page, "one.time > 0.05 && one.time < 2")


def test_one_sound_is_heard_at_a_time(visit):
    page = visit()
    page.click("#clip-1 [data-sound=original]")
    page.click("#clip-2 [data-sound=part]")
    wait(page, "one.playing === null && page.current !== one && page.current.time > 0.1")
    assert not sound(page)["heard"] and sound(page, 1)["playing"] == "part"


def test_choices_change_what_is_shown_and_said(visit):
    page = visit()
    seen = set()
    for group, place in (("classes", 1), ("classes", 3), ("rules", 2), ("rules", 1)):
        page.click(f"#clip-1 .{group} label:nth-of-type({place})")
        words = page.inner_text("#clip-1 .words")
        name = page.inner_text(f"#clip-1 .{group} label:nth-of-type({place}) .name")
        assert name.replace("\n", "") in words and words in page.get_attribute("#clip-1 .relevance "
                                                                               "canvas.view", "aria-label")
        assert page.inner_text("#clip-1 .book").count("% of the score") == 1
        row = page.text_content("#clip-1 tbody tr:first-child")
        seen.add((pixels(page, "relevance"), pixels(page, "bands"), pixels(page, "moments"), words, row,
                  page.text_content("#clip-1 caption"), page.inner_html("#clip-1 .absorbed svg")))
    columns = list(zip(*seen))
    assert [len(set(column)) for column in columns] == [3, 3, 3, 3, 3, 3,
                                                        3], "back at epsilon it is as it was"
    spectrogram, relevance = pixels(page, "spectrogram"), pixels(page, "relevance")
    page.fill("#clip-1 .under input", "100")
    assert pixels(page, "spectrogram") == spectrogram and pixels(page, "relevance") != relevance
    assert "grey spectrogram" in page.get_attribute("#clip-1 .relevance canvas.view", "aria-label")


def test_the_map_is_painted_where_and_how_the_numbers_say(visit, written):
    page = visit()
    _, (data, _) = written[1].json()
    relevance = unpack(data["explanations"][0][0]["map"]).reshape(64, 64)
    colours = report_data.diverging()
    painted = matplotlib.image.imread(io.BytesIO(base64.b64decode(pixels(page,
                                                                         "relevance").partition(",")[2])))
    left, top, width, height = page.evaluate("""() => {
        const {width, height} = document.querySelector(".relevance canvas.view");
        const left = parseFloat(colourOf("left")), right = parseFloat(colourOf("right"));
        return [left, TOP, width - left - right, height - TOP - BOTTOM]; }""")
    for index in (relevance.argmax(), relevance.argmin()):
        row, column = divmod(int(index), 64)
        found = painted[int(top + (row + 0.5) / 64 * height), int(left + (column + 0.5) / 64 * width)] * 255
        assert found.tolist() == pytest.approx([*colours[255 if relevance[row, column] > 0 else 0], 255],
                                               abs=0.5)


def test_the_keyboard_is_enough(visit):
    page = visit()
    stops = []
    for _ in range(22):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("""() => { const {name, dataset, className, tagName, parentElement} =
            document.activeElement; const {sound, act, by} = dataset;
            return name || sound || act || by || className || parentElement.className || tagName; }"""))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", (
            f"{stops[-1]}: the focus shows")
    # "Zoom out", "all" and "clear" cannot be pressed yet, nor can what is shown be moved.
    assert stops == ["how", "how keys", "1", "SUMMARY", "class-1", "rules-1", "original", "part", "rest",
                     "in", "start", "end", "loop", "under", "coarse", "compare", "picture", "numbers",
                     "link", "seek", "SUMMARY", "paths"]
    page.focus("#clip-1 .classes input:checked")
    before = page.inner_text("#clip-1 .words")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#clip-1 .words") != before and page.get_attribute("#clip-1 .seek",
                                                                              "aria-valuenow") == "0.0"
    page.focus("#clip-1 .seek")
    for key, place in (("ArrowRight", 0.1), ("ArrowUp", 0.2), ("Shift+ArrowRight", 1.2), ("PageUp", 1.7),
                       ("ArrowLeft", 1.6),
                       ("End", 4), ("ArrowRight", 4), ("PageDown", 3.5), ("Home", 0), ("ArrowLeft", 0)):
        page.keyboard.press(key)
        state = sound(page)
        assert state["time"] == pytest.approx(place) and state["cursors"] == pytest.approx(
            [place / 4] * VIEWS, abs=1e-3
        ), key
        assert page.get_attribute("#clip-1 .seek", "aria-valuetext") == f"{place:.1f} seconds"
    scrolled = page.evaluate("scrollY")
    page.keyboard.press("Space")
    wait(page, "one.playing === 'original' && one.time > 0.1")
    page.keyboard.press("Space")
    assert sound(page)["playing"] is None and page.evaluate("scrollY") == scrolled, "Space does not leaf"
    page.focus("#clip-1 [data-sound=part]")
    page.keyboard.press("Space")
    wait(page, "one.playing === 'part'")
    page.keyboard.press("Enter")
    assert sound(page)["playing"] is None


def test_pointing_into_a_picture_seeks(visit):
    page = visit()
    page.locator(".seek").first.scroll_into_view_if_needed()
    box = page.locator(".seek").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + 60)
    assert sound(page)["time"] == pytest.approx(1, abs=0.02)
    assert sound(page)["cursors"] == pytest.approx([0.25] * VIEWS, abs=0.005)
    page.mouse.move(box["x"], box["y"] + 80)
    assert sound(page)["time"] == pytest.approx(1, abs=0.02)


def test_who_wants_less_motion_gets_steps(visit):
    page = visit(reduced_motion="reduce")
    page.evaluate("""() => { window.moves = 0; const {current} = page, {move} = current;
        current.move = function (time) { window.moves++; move.call(this, time); }; }""")
    page.click("text=Play original")
    wait(page, "one.time > 0.7")
    assert page.evaluate("window.moves") <= 8
    durations = [page.evaluate("getComputedStyle(document.querySelector('button')).transitionDuration")]
    page.emulate_media(reduced_motion="no-preference")
    durations.append(page.evaluate("getComputedStyle(document.querySelector('button')).transitionDuration"))
    assert durations == ["0s", "0.15s"]


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_is_wider_than_the_screen(visit, width):
    page = visit(width=width)
    page.click("#clip-1 .ledger summary")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.click("#clip-1 .compare input")
    for element in page.locator("#clip-1 .view, #clip-1 button, #clip-1 fieldset label, #clip-1 .absorbed "
                                "svg, #clip-1 select").all():
        box = element.bounding_box()
        assert 0 <= box["x"] < box["x"] + box["width"] <= width and box["width"] > 25
    assert page.evaluate("document.documentElement.scrollWidth") == width


TEXTS = ["h1", ".page p", ".facts", ".heard", ".words", ".note", ".book", ".for", ".against",
         "label:not(:has(:checked)) small",
         "label:has(:checked) small", "label:has(:checked) .number", "button", "a", "figcaption",
         "figcaption b", "caption", "td",
         "tbody tr.whole td", "summary", ".position", ".tools button:enabled", ".selected", "nav summary"]


def luminance(colour):
    """Relative luminance (WCAG 2.2) of "rgb(r, g, b)"."""
    channels = np.array([float(number) for number in re.findall(r"[\d.]+", colour)[:3]]) / 255
    return np.where(channels <= 0.04045, channels / 12.92,
                    ((channels + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(visit, scheme):
    page = visit(color_scheme=scheme)
    page.click("#clip-1 .ledger summary")
    found = page.evaluate("""selectors => selectors.map(selector => {
        let ground = document.querySelector(selector);
        const text = getComputedStyle(ground).color;
        while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
        return [selector, text, getComputedStyle(ground).backgroundColor]; })""", TEXTS)
    for selector, text, ground in found:
        high, low = sorted((luminance(text), luminance(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (selector, text, ground)
    assert (luminance(found[0][1]) > 0.5) == (scheme == "dark")


def test_values_under_the_pointer(visit):
    """The moment, the frequency and the relevance of the cell that the pointer is on."""
    page = visit()
    view = page.locator("#clip-1 .relevance canvas.view").first
    view.scroll_into_view_if_needed()
    box = view.bounding_box()
    left, right, top, bottom = 56, 10, 6, 34  # margins of a picture
    width, height = box["width"] - left - right, box["height"] - top - bottom
    page.mouse.move(box["x"] + left + 0.4 * width, box["y"] + top + 0.7 * height)
    cell = page.evaluate(
        "page.current.panes[0].map[Math.floor(0.7 * ROWS) * COLUMNS + Math.floor(0.4 * COLUMNS)]")
    band = page.evaluate("common.hertz[Math.floor(0.3 * common.hertz.length)]")
    words = page.inner_text("#clip-1 .pointed").replace("\u2212", "-")
    assert words.startswith(f"1.60 s, {band:,} Hz: relevance ")
    assert float(words.rsplit(" ", 1)[1]) == pytest.approx(cell, rel=0.05)
    page.mouse.move(0, 0)
    assert page.inner_text("#clip-1 .pointed") == ""


def test_a_print_leaves_out_what_is_to_be_clicked(visit):
    page = visit()
    page.emulate_media(media="print")
    assert not page.locator("#clip-1 .players").is_visible() and not page.locator(".how").first.is_visible()
    assert page.locator("#clip-1 .relevance canvas.view").first.is_visible()


def test_a_change_of_light_redraws(visit):
    page = visit(color_scheme="light")
    before = pixels(page, "moments")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("before => document.querySelector('.moments canvas.view').toDataURL() !== before",
                           arg=before, timeout=10_000)


def test_a_screen_reader_finds_its_way(visit):
    page = visit()
    tree = page.locator("#clip-1").aria_snapshot()
    for part in ('radio "siren', 'group "Class to explain"', 'group "Rules that share relevance out"',
                 'slider "Position in the sound"', 'button "Play original"', 'button "Zoom in"',
                 'slider "Spectrogram under the map"', 'img "Waveform of', 'button "Play the rest"',
                 'img "Map of relevance, siren by epsilon',
                 'img "Spectrogram of', 'img "Relevance per moment', 'img "Relevance per frequency',
                 'img "107% of the score 5.54 reaches the samples of the sound; ',
                 'status: "siren by epsilon', 'heading "The ledger'):
        assert part in tree, f"{part}\n{tree}"
    page.click("#clip-1 .ledger summary")
    tree = page.locator("#clip-1 table").aria_snapshot()
    assert page.get_attribute("#clip-1 tbody tr:first-child th", "scope") == "row"
    assert 'rowheader "dense1"' in tree and 'columnheader "stabilizer"' in tree and "R out = R in" in tree


def test_without_scripts_it_says_so(visit):
    page = visit(java_script_enabled=False)
    assert "please allow it" in page.inner_text("noscript")
