"""The lesson in a real browser: it steps, answers, plays, fits, obeys keys, and neither logs nor loads."""

import numpy as np
import pytest
from lesson_pages import visit, written  # noqa: F401  (fixtures)
from test_report_page import luminance

from audio_lrp.learn import CHAPTERS

IDS = [name for name, _ in CHAPTERS]


def status(page, widget):
    return page.inner_text(f"[data-widget={widget}] > .words")


def test_one_chapter_at_a_time_and_links_lead_on(visit):
    page = visit()
    for number, (name, title) in enumerate(CHAPTERS):
        assert page.locator(".chapter:visible").count() == 1 and page.is_visible(f"#{name} h1")
        assert page.inner_text("[aria-current=page] .name") == title and page.title().startswith(title)
        if number < len(CHAPTERS) - 1:
            page.click(f"#{name} .after")
            page.wait_for_function(
                "id => location.hash === '#' + id && document.activeElement.id === 'title-' + id",
                arg=IDS[number + 1],
            )
    page.go_back()
    assert page.is_visible(f"#{IDS[-2]} h1")


def test_relevance_is_stepped_back_and_forth(visit):
    page = visit("network")
    said = [status(page, "graph")]
    for _ in range(3):
        page.click("button:has-text('Hand relevance on')")
        said.append(status(page, "graph"))
        reached = page.locator(".graph .reached").count()
        assert reached == {1: 9, 2: 17, 3: 33}[len(said) - 1]
    assert (
        said[0].startswith("The network says “rising”")
        and "hidden layer 2: 13.14" in said[1]
        and "the inputs: 11.05" in said[3]
    )
    assert (
        page.is_disabled("button:has-text('Hand relevance on')")
        and page.get_attribute("[data-widget=graph] > .words", "role") == "status"
    )
    for _ in range(3):
        page.click("button:has-text('Take it back')")
    assert status(page, "graph") == said[0] and page.locator(".graph .reached").count() == 3


def last_column(page, place):
    """The numbers of a table's last column."""
    cells = page.locator(f"{place} tbody td:last-child").all_inner_texts()
    return [float(cell.replace("\u2212", "-")) for cell in cells]


def test_a_unit_tells_what_it_got_and_gave_and_it_adds_up(visit):
    page = visit("network")
    page.click("text=All the way")
    for rule in ("LRP-0", "LRP-ε", "LRP-γ", "LRP-αβ", "z⁺"):
        page.click(f"[data-widget=graph] .picker label:has-text('{rule}') >> nth=0")
        for unit in (22, 30):
            page.click(f".graph .unit:nth-of-type({unit})")
            got, gave = (last_column(page, f".detail .columns > div:nth-child({n})") for n in (1, 2))
            assert sum(got[:-1]) == pytest.approx(got[-1], abs=0.04)
            assert sum(gave[:-1]) == pytest.approx(gave[-1], abs=0.04)
            assert gave[-1] == pytest.approx(got[-1], abs=0.011)
            assert f"R = {got[-1]:.2f}".replace("-", "\u2212") in page.inner_text(".detail")
            assert "=" in page.inner_text(".detail .formula >> nth=0")


def number_at_end(text):
    """The number after the last "=" of a formula."""
    return float(text.rsplit("=", 1)[1].strip().split()[0].replace("\u2212", "-"))


def test_formulas_hold_the_numbers_of_their_tables(visit):
    page = visit("network")
    page.click("text=All the way")
    page.click("[data-widget=graph] .chips:has-text('Input') label:has-text('noisy')")
    for rule in ("LRP-0", "LRP-ε", "LRP-γ", "LRP-αβ", "z⁺", "flat"):
        page.click(f"[data-widget=graph] .picker label:has-text('{rule}') >> nth=0")
        page.click(".graph .unit:nth-of-type(22)")
        text = page.inner_text(".detail .columns .formula")
        shares = last_column(page, ".detail .columns > div:nth-child(2)")[:-1]
        assert number_at_end(text) in shares and abs(number_at_end(text)) > 0, (rule, text)


def test_a_neuron_shows_what_it_computes(visit):
    page = visit("neuron")
    page.fill("[aria-label='input 1, as a number']", "2.5")
    page.fill("[aria-label='bias, as a number']", "-1")
    page.fill("[aria-label='weight 3, as a number']", "-0.5")
    # z = 2.5 + 1 + 0.5 - 1
    forwards, share, arrives = page.locator("[data-widget=neuron]:visible .formula p").all_inner_texts()
    assert number_at_end(forwards) == 3 and number_at_end(share) == 2.5
    assert arrives.replace("\u2212", "-") == "3.00 arrives = 4.00 to the inputs + (-1.00) the bias takes"
    page.fill("[aria-label='relevance that arrives, as a number']", "-1.5")
    assert number_at_end(page.locator("[data-widget=neuron]:visible .formula p").nth(1).inner_text()) == -1.25
    page.fill("[aria-label='bias, as a number']", "-4")
    assert "gated" not in page.inner_text("[data-widget=neuron]:visible .formula")
    page.fill("[aria-label='bias, as a number']", "")
    page.keyboard.press("Tab")
    assert page.input_value("[aria-label='bias, as a number']") == "-3", "the last that fits is kept"


def test_every_choice_changes_map_and_ledger_at_once(visit):
    page = visit("network")
    page.click("text=All the way")

    def state():
        return (page.inner_text("[data-widget=graph] .book"), page.inner_text(".graph"))

    seen = [state()]
    for label in ("z⁺", "LRP-ε", "noisy", "biases"):
        page.click(f"[data-widget=graph] label:has-text('{label}') >> nth=0")
        seen.append(state())
    page.click("[data-widget=graph] .chips:has-text('Explain') label:has-text('falling')")
    seen.append(state())
    page.fill("[data-widget=graph] .picker .slider:visible [type=number]", "3")
    seen.append(state())
    page.click(".graph .unit:nth-of-type(1)")
    page.fill(".detail [type=number]", "1")
    seen.append(state())
    assert len(set(seen)) == len(seen)
    assert page.evaluate("document.activeElement.type") == "number", (
        "the field keeps the focus while it is typed in"
    )
    page.click(".graph .unit:nth-of-type(1)")
    assert page.evaluate("widgets.length") and page.input_value(".detail [type=number]") == "0"


def test_the_graph_is_worked_by_keys(visit):
    page = visit("network")
    page.focus(".graph .unit[tabindex='0']")
    walked = []
    for key in (
        "ArrowLeft",
        "ArrowDown",
        "ArrowLeft",
        "ArrowLeft",
        "ArrowLeft",
        "ArrowUp",
        "End",
        "Home",
        "ArrowRight",
    ):
        page.keyboard.press(key)
        walked.append(page.evaluate("document.activeElement.getAttribute('aria-label').split(':')[0]"))
        assert page.get_attribute(".graph :focus", "aria-pressed") == "true"
        assert page.locator(".graph [tabindex='0']").count() == 1
    assert walked == [
        "hidden layer 2, unit 2",
        "hidden layer 2, unit 3",
        "hidden layer 1, unit 4",
        "input in row 2, moment 4",
        "input in row 2, moment 3",
        "input in row 1, moment 3",
        "input in row 4, moment 4",
        "input in row 1, moment 1",
        "input in row 1, moment 2",
    ]


def test_the_keyboard_reaches_every_control(visit):
    page = visit()
    for chapter in IDS:
        turn_to(page, chapter)
        wanted = page.evaluate(
            """id => {
            const all = [...document.querySelectorAll(`#${id} :is(button, input, [tabindex="0"])`)];
            window.wanted = new Set(all.filter(one => one.checkVisibility() && !one.disabled
                && one.tabIndex >= 0 && (one.type !== "radio" || one.checked)));
            return wanted.size; }""",
            chapter,
        )
        page.focus(f"#{chapter} h1")
        for _ in range(wanted + 10):
            page.keyboard.press("Tab")
            outline = page.evaluate("""() => { const one = document.activeElement; wanted.delete(one);
                const shown = one.matches(".chips input") ? one.nextElementSibling : one;
                return getComputedStyle(shown).outlineStyle; }""")
            assert outline != "none", page.evaluate("document.activeElement.outerHTML")
            if page.evaluate("wanted.size") == 0:
                break
        assert page.evaluate("[...wanted].map(one => one.outerHTML)") == []


def turn_to(page, chapter):
    """Go to a chapter, and wait until it is drawn."""
    page.evaluate("id => { location.hash = id; }", chapter)
    page.wait_for_function("id => !document.getElementById(id).hidden", arg=chapter)
    page.wait_for_timeout(30)


def test_every_control_has_a_name(visit):
    page = visit()
    nameless = page.evaluate("""() => { for (const one of chapters) one.hidden = false; draw();
        const all = [...document.querySelectorAll("input, button, [role=img], [role=region]")];
        return all.filter(one => !one.getAttribute("aria-label") && !one.labels?.[0]?.textContent.trim()
            && !one.textContent.trim()).map(one => one.outerHTML); }""")
    assert nameless == []
    tree = page.locator("#network").aria_snapshot()
    for part in (
        "status:",
        'button "← Hand relevance on"',
        'group "Rule"',
        "score “rising”: value 12.41, relevance 12.41",
        'group "The network',
    ):
        assert part in tree, part


def test_questions_are_checked_explained_and_remembered(visit):
    page = visit("neuron")
    page.fill("#q1-share input", "5")
    page.click("#q1-share .check")
    assert page.inner_text("#q1-share .verdict").startswith("Not quite. Compute z")
    page.fill("#q1-share input", "12,0")
    page.keyboard.press("Enter")
    assert page.inner_text("#q1-share .verdict").startswith("Right.")
    page.fill("#q1-share input", "twelve")
    page.click("#q1-share .check")
    assert "type a number" in page.inner_text("#q1-share .verdict")
    page.click("#q1-double .answer:nth-child(2)")
    assert page.inner_text("#q1-double .verdict").startswith("Not quite.")
    for question in ("double", "zero"):
        page.click(f"#q1-{question} [data-right]")
        assert page.inner_text(f"#q1-{question} .verdict").startswith("Right.")
    assert page.inner_text(".contents li:first-child .done") == "✓"
    page.reload()
    assert page.inner_text(".contents li:first-child .done") == "✓", "kept for the tab"


def test_it_does_without_storage(visit):
    page = visit("neuron")
    page.evaluate("sessionStorage.setItem(KEPT, '[not JSON')")
    page.reload()
    page.click("#q1-zero [data-right]")
    assert page.inner_text(".contents li:first-child .done") == "1/3"


def test_the_sound_its_part_and_the_rest_are_heard(visit):
    page = visit("sound")
    for which in ("part", "rest", "original"):
        page.click(f"[data-sound={which}]")
        page.wait_for_function(
            """which => { const {playing, audio} = listener;
            return playing === which && audio.currentTime > 0.05
            && Math.abs(audio.duration - common.seconds) < 0.001; }""",
            arg=which,
        )
        assert page.inner_text(f"[data-sound={which}]").startswith("Stop")
    page.click("[data-sound=original]")
    assert page.evaluate("listener.audio.paused")


def test_a_mixture_is_explained_one_class_at_a_time(visit):
    page = visit("sound")
    page.click(".chips:has-text('Mixed with') label:has-text('dog bark')")
    maps = {}
    for name in ("siren", "dog bark"):
        page.click(f".chips:has-text('Explain') label:has-text('{name}')")
        maps[name] = np.array(page.evaluate("[...listener.map]"))
        assert f"Explained: {name}" in status(page, "sound")
    assert np.corrcoef(maps["siren"], maps["dog bark"])[0, 1] < 0.5
    before = maps["dog bark"]
    page.click("[data-widget=sound] label:has-text('flat in the first layer')")
    assert not np.allclose(before, page.evaluate("[...listener.map]"))


def arrives(page):
    """(relevance that arrives, the probabilities) of the shifted network."""
    small = page.locator("[data-widget=shift] small").nth(1).inner_text()
    row = page.locator("[data-widget=shift] tbody tr").nth(1).inner_text()
    return float(small.replace("\u2212", "-").split()[-2]), row


def test_shifted_scores_change_maps_and_no_probability(visit):
    page = visit("wrong")
    begin, probabilities = arrives(page)
    page.fill("[aria-label=\"c, as a number\"]", "-10")
    assert arrives(page) == (begin, probabilities), "LRP-0: the bias takes it"
    page.click("[data-widget=shift] label:has-text('z⁺')")
    assert arrives(page)[0] < 0 and arrives(page)[1] == probabilities
    page.click("[data-widget=shift] label:has-text('LRP-0')")
    page.fill("[aria-label=\"d, as a number\"]", "-2")
    assert arrives(page)[0] < 0 < begin and arrives(page)[1] == probabilities


def test_the_broken_rule_is_shown_as_broken(visit):
    page = visit("wrong")
    assert (
        "does not add up" in status(page, "mistake")
        and page.locator("[data-widget=mistake] tr.wrong").count() >= 1
    )
    page.click("label:has-text('no mistake')")
    assert (
        "Every line adds up" in status(page, "mistake")
        and page.locator("[data-widget=mistake] tr.wrong").count() == 0
    )


def test_the_ledger_is_judged(visit):
    page = visit("ledger")
    counts = []
    for label in ("as trained", "whole in both", "by its sign", "ε = 5", "a large bias", "dark picture"):
        page.click(f"[data-widget=ledger] label:has-text('{label}')")
        counts.append(page.locator(".judged .bad").count())
    assert counts[0] == 0 and min(counts[1:]) >= 1, counts


def test_ties_go_to_the_first(visit):
    page = visit("pools")
    page.click("button:has-text('Silence')")
    assert "4 of the windows have a tie" in status(page, "pools")
    assert page.locator(".grid input").nth(0).evaluate("one => one.className") == "won"
    page.click("label:has-text('average')")
    assert "4.00 is gated" in status(page, "pools")


def test_nothing_is_wider_than_the_screen(visit):
    page = visit(width=320, height=844)
    for name in IDS:
        turn_to(page, name)
        for width in (320, 390, 768):
            page.set_viewport_size({"width": width, "height": 844})
            page.wait_for_timeout(30)
            assert page.evaluate("document.documentElement.scrollWidth") == width, (name, width)
            over = page.evaluate("""() => [...document.querySelectorAll(".chapter:not([hidden]) *")]
                .filter(one => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll"))
                .map(one => one.outerHTML)""")
            assert over == [], (name, width)


TEXTS = [
    ".place",
    "h1",
    ".chapter > p",
    ".math",
    ".try",
    ".contents a",
    ".contents [aria-current]",
    ".note",
    ".words",
    ".chips legend",
    ".chips span",
    ".chips :checked + span",
    "td",
    "tr.total td",
    ".question legend",
    ".answer",
    ".turn a",
    "figcaption",
    "[data-widget] button.main",
    ".unit",
    "input[type=number]",
    ".scale",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(visit, scheme):
    page = visit("network", color_scheme=scheme)
    page.click("[data-widget=graph] label:has-text('LRP-ε')")
    page.click("text=All the way")
    page.click("button:has-text('Take it back')")
    page.click(".graph .unit:nth-of-type(30)")
    found = page.evaluate(
        """selectors => selectors.map(selector => {
        let ground = [...document.querySelectorAll(selector)].find(one => one.checkVisibility());
        const text = getComputedStyle(ground).color;
        while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
        return [selector, text, getComputedStyle(ground).backgroundColor]; })""",
        TEXTS,
    )
    for selector, text, ground in found:
        high, low = sorted((luminance(text), luminance(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (selector, text, ground)
    assert (luminance(found[1][1]) > 0.5) == (scheme == "dark")


def test_who_wants_less_motion_gets_steps(visit):
    page = visit("sound", reduced_motion="reduce")
    page.evaluate("""() => { window.moves = 0; const follow = listener.follow;
        listener.follow = function () { window.moves++; follow.call(this); }; }""")
    page.click("[data-sound=original]")
    page.wait_for_function("() => listener.audio.currentTime > 0.7")
    assert page.evaluate("window.moves") <= 8
    assert page.evaluate("getComputedStyle(document.querySelector('button')).transitionDuration") == "0s"


def test_without_scripts_it_says_so_and_can_be_read(visit):
    page = visit(java_script_enabled=False)
    assert "please allow it" in page.inner_text("noscript") and page.locator("h1:visible").count() == len(
        CHAPTERS
    )
