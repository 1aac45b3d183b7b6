"""The page in a real browser: every state and every reason, in both languages, on 800 by 480 pixels."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest

from kiosk.core.states import Credit
from kiosk.core.view import Screen as ScreenName
from kiosk.core.view import View
from kiosk.screen.server import STATIC, Screen
from tests.screen.browser import Browser, browsing, chromium

SENTENCES: dict[str, Any] = json.loads((STATIC / "sentences.json").read_text(encoding="utf-8"))
SCREENS: tuple[ScreenName, ...] = get_args(ScreenName)
SAID_ON: dict[str, tuple[ScreenName, ...]] = {
    "any": ("recovering", "idle", "accepting", "closing", "closed"),
    "refused": ("refused", "accepting", "farewell"),
}
TROUBLE: tuple[ScreenName, ...] = ("closed", "recovering", "hazard")
OPEN: tuple[ScreenName, ...] = ("accepting", "credited")


def credit(points: int = 10, *, unpaid: bool = False, battery_class: str = "AA") -> Credit:
    return Credit(item_id="i-1", battery_class=battery_class, count=1, points=points, unpaid=unpaid)


def gallery() -> Iterator[tuple[str, View]]:
    """Everything that the page can look like, in Chinese; numbers as long as they get."""
    for screen in SCREENS:
        yield screen, View(screen=screen, language="zh", credit=credit() if screen == "credited" else None, online=True)
        yield f"{screen}-unknown", View(screen=screen, language="zh", reason="brand_new_reason", on_its_way=12)
    for table, entries in SENTENCES["reasons"].items():
        for code in entries:
            for screen in SAID_ON.get(table, (table,)):
                full = View(screen=screen, language="zh", reason=code, session_points=9990, session_items=99)
                left = msgspec.structs.replace(full, remaining_points=9990, on_its_way=999, deadline_ms=120_000)
                yield f"{screen}-{code}", left
                if screen in TROUBLE:
                    yield f"{screen}-{code}-recorded", msgspec.structs.replace(left, credit=credit(9990))
    flap = View(screen="credited", language="zh", reason="close_flap", credit=credit(9990), session_points=9990)
    yield "credited-close_flap", msgspec.structs.replace(flap, session_items=99, deadline_ms=120_000)
    busy = View(screen="accepting", language="zh", session_points=9990, session_items=99, remaining_points=9990)
    yield "accepting-busy", msgspec.structs.replace(busy, deadline_ms=120_000, on_its_way=9999)
    went_on = msgspec.structs.replace(busy, credit=credit(9990), deadline_ms=120_000, on_its_way=9999)
    yield "accepting-recorded", went_on
    yield "closing-recorded", msgspec.structs.replace(went_on, screen="closing", deadline_ms=None)
    for code in ("flap", "beams"):
        yield f"credited-{code}", msgspec.structs.replace(flap, reason=code, session_items=99)
    yield "accepting-next", msgspec.structs.replace(busy, deadline_ms=120_000, next_resident_waits=True)
    for name in ("weighing", "closing", "committing", "refused"):
        yield f"{name}-next", View(screen=name, language="zh", next_resident_waits=True)
    many = View(screen="credited", language="zh", credit=credit(points=9990), session_points=9990, session_items=99)
    yield "credited-many", msgspec.structs.replace(many, deadline_ms=120_000, on_its_way=9999)
    yield "credited-next", msgspec.structs.replace(many, next_resident_waits=True)
    for name in (*SENTENCES["classes"], "BRAND_NEW"):
        yield f"credited-{name}", msgspec.structs.replace(many, credit=credit(battery_class=name.upper()))
    yield "credited-unpaid", msgspec.structs.replace(many, credit=credit(points=0, unpaid=True), deadline_ms=30_000)
    yield "farewell-many", View(screen="farewell", language="zh", session_points=9990, session_items=99)


VIEWS = [
    pytest.param(msgspec.structs.replace(view, language=language), id=f"{name}-{language}")
    for name, view in gallery()
    for language in ("zh", "en")
]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Screen, list[str]]]:
    pressed: list[str] = []
    screen = Screen("127.0.0.1", 0, on_done=lambda: pressed.append("done"), on_language=pressed.append)
    screen.start()
    yield screen, pressed
    screen.close()


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    programs = chromium()
    if programs is None:
        reason = "no chromium with chromedriver on the PATH"
        if os.environ.get("KIOSK_REQUIRE_BROWSER") == "1":
            pytest.fail(f"{reason}, and KIOSK_REQUIRE_BROWSER=1 asks for it")
        pytest.skip(reason)
    with browsing(*programs, tmp_path_factory.mktemp("profile")) as window:
        yield window


@pytest.fixture(scope="module")
def opened(window: Browser, served: tuple[Screen, list[str]]) -> Browser:
    window.open(served[0].address)
    return window


def said(view: View) -> tuple[str, str]:
    """Headline and sentence that the page owes this view."""
    tables = [view.screen, "any", *(["refused"] if view.screen in ("accepting", "farewell") else [])]
    found = [SENTENCES["reasons"].get(table, {}).get(view.reason) for table in tables]
    entry = next((each for each in found if each is not None), None)
    if entry is None:
        unpaid = view.screen == "credited" and view.credit is not None and view.credit.unpaid
        entry = SENTENCES["screens"]["unpaid" if unpaid else view.screen]
    words = entry[view.language]
    classes = SENTENCES["classes"]
    item = classes["other"][view.language]
    if view.credit is not None:
        name = classes.get(view.credit.battery_class.lower(), classes["other"])[view.language]
        item = f"{name} × {view.credit.count}"
    return words["headline"], words["text"].replace("{item}", item)


SHOWN = """
    stage.dataset.screen === args[0] && stage.lang === args[1]
    && headline.textContent === args[2] && text.textContent === args[3]
"""


def show(window: Browser, screen: Screen, view: View) -> None:
    """Publish, and wait until the page says it."""
    # A view in between, so that what is waited for cannot be left over from the test before.
    other = View(screen="weighing" if view.screen != "weighing" else "closing", language=view.language)
    for each in (other, view):
        screen.publish(each)
        window.wait(SHOWN, each.screen, each.language, *said(each))


MEASURE = """
    const luminance = (colour) => {
      const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((each) => each / 255)
        .map((each) => (each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
      const colour = getComputedStyle(element).backgroundColor;
      return /, 0\\)$/.test(colour) ? ground(element.parentElement) : colour;
    };
    const inside = (inner, outer) => inner.left >= outer.left - 0.5 && inner.right <= outer.right + 0.5
      && inner.top >= outer.top - 0.5 && inner.bottom <= outer.bottom + 0.5;
    const found = [];
    for (const element of document.querySelectorAll("#stage, #stage *:not(svg *)")) {
      const box = element.getBoundingClientRect();
      if (box.width === 0) continue;
      const style = getComputedStyle(element);
      const written = [...element.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
      const lights = [luminance(style.color), luminance(ground(element))].sort((a, b) => a - b);
      found.push({
        name: element.id || element.dataset.icon || element.tagName,
        fits: element.scrollWidth <= Math.max(element.clientWidth, Math.ceil(box.width)),
        inside: inside(box, element === stage ? { left: 0, top: 0, right: 800, bottom: 480 }
          : element.parentElement.getBoundingClientRect()) || element.tagName === "SPAN",
        text: written ? element.textContent : null,
        px: parseFloat(style.fontSize),
        contrast: (lights[1] + 0.05) / (lights[0] + 0.05),
      });
    }
    return found;
"""

BODY = ("text", "session", "remaining", "recorded", "notice", "next", "countdown", "done", "language", "item")


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_fits_and_is_legible(opened: Browser, served: tuple[Screen, list[str]], view: View) -> None:
    show(opened, served[0], view)
    seen = {each["name"]: each for each in opened.run(MEASURE)}
    for name, each in seen.items():
        assert each["fits"], f"{name} overflows: {each['text']}"
        assert each["inside"], f"{name} reaches out of its box: {each['text']}"
        if each["text"] is not None:
            assert each["px"] >= 20, f"{name}: {each['px']} px"
            assert each["contrast"] >= 7, f"{name}: contrast {each['contrast']}"
    assert seen["headline"]["px"] >= 56
    assert seen["headline"]["text"]
    for name in BODY:
        assert name not in seen or seen[name]["px"] >= 28, name
    drawings = [name for name in seen if name in {*SCREENS, "lost", "qr", "hand", "crossed"}]
    assert len(drawings) == 1
    shown = " ".join(each["text"] or "" for each in seen.values())
    assert "{" not in shown
    assert view.reason is None or view.reason not in re.findall(r"\w+", shown.lower()) or view.reason.isalpha()
    assert ("done" in seen) == (view.screen in OPEN and not view.next_resident_waits)


def visible(window: Browser, element: str) -> str | None:
    """Its text, or null while it is hidden."""
    found: str | None = window.run(
        "return window[arguments[0]].offsetWidth ? window[arguments[0]].innerText : null", element
    )
    return found


CREDITED = View(screen="credited", language="zh", credit=credit(), session_points=30, session_items=3)


def test_points_are_the_largest_thing_on_the_screen(opened: Browser, served: tuple[Screen, list[str]]) -> None:
    show(opened, served[0], CREDITED)
    sizes = {each["name"]: each["px"] for each in opened.run(MEASURE) if each["text"] is not None}
    assert max(sizes, key=lambda name: sizes[name]) == "points_figure"
    assert visible(opened, "points_figure") == "+10"
    assert visible(opened, "session") == "本次 30 分 · 3 节"


def test_an_unpaid_credit_is_thanked_for_and_shows_no_points(opened: Browser, served: tuple[Screen, list[str]]) -> None:
    show(opened, served[0], msgspec.structs.replace(CREDITED, credit=credit(points=0, unpaid=True), language="en"))
    assert visible(opened, "points") is None
    assert "without points" in (visible(opened, "text") or "")


@pytest.mark.parametrize("name", TROUBLE)
def test_in_trouble_the_points_of_the_visit_are_said_to_be_safe(
    opened: Browser, served: tuple[Screen, list[str]], name: ScreenName
) -> None:
    show(opened, served[0], msgspec.structs.replace(CREDITED, screen=name))
    assert visible(opened, "recorded") == "本次 +30 分，已经记好了"
    show(opened, served[0], msgspec.structs.replace(CREDITED, screen=name, language="en"))
    assert visible(opened, "recorded") == "+30 points, recorded"
    show(opened, served[0], msgspec.structs.replace(CREDITED, screen=name, credit=None))
    assert visible(opened, "recorded") is None, "the thing in hand is not recorded"
    unpaid = credit(points=0, unpaid=True)
    show(opened, served[0], msgspec.structs.replace(CREDITED, screen=name, credit=unpaid, session_points=0))
    assert visible(opened, "recorded") is None


def test_a_credit_stays_in_sight_while_the_bin_waits_for_the_next_battery(
    opened: Browser, served: tuple[Screen, list[str]]
) -> None:
    show(opened, served[0], msgspec.structs.replace(CREDITED, screen="accepting"))
    assert visible(opened, "recorded") == "+10 分，已经记好了"
    show(opened, served[0], msgspec.structs.replace(CREDITED, screen="accepting", credit=credit(0, unpaid=True)))
    assert visible(opened, "recorded") is None


DRAWN = "return document.querySelector('[data-icon]:not([hidden])').dataset.icon"


@pytest.mark.parametrize("code", SENTENCES["reasons"]["refused"])
def test_what_was_refused_is_drawn_as_refused_and_never_as_something_to_put_in(
    opened: Browser, served: tuple[Screen, list[str]], code: str
) -> None:
    for name in SAID_ON["refused"]:
        show(opened, served[0], View(screen=name, language="zh", reason=code))
        assert opened.run(DRAWN) in ("refused", "crossed", "hand", "hazard")


@pytest.mark.parametrize("name", [name for name in SCREENS if name not in ("credited", "farewell")])
def test_no_other_screen_shows_points_of_a_credit(
    opened: Browser, served: tuple[Screen, list[str]], name: ScreenName
) -> None:
    show(opened, served[0], msgspec.structs.replace(CREDITED, screen=name))
    assert visible(opened, "points") is None


def test_nobody_is_smiled_at_for_a_refusal(opened: Browser, served: tuple[Screen, list[str]]) -> None:
    show(opened, served[0], View(screen="farewell", language="zh", reason="mixed", session_points=30, session_items=3))
    assert "farewell" not in {each["name"] for each in opened.run(MEASURE)}
    assert visible(opened, "points") is None
    assert visible(opened, "session") == "本次 30 分 · 3 节"


def test_offline_is_a_calm_mark_and_what_is_on_its_way_is_counted_apart(
    opened: Browser, served: tuple[Screen, list[str]]
) -> None:
    show(opened, served[0], View(screen="idle", language="en", online=False, on_its_way=3))
    assert visible(opened, "connection") == "Offline · your points are safe here"
    assert visible(opened, "on_its_way") == "3 on the way"
    assert visible(opened, "notice") == "Tape the poles of 9 V and lithium cells."
    show(opened, served[0], View(screen="idle", language="en", online=True))
    assert visible(opened, "connection") == "Online"
    assert visible(opened, "on_its_way") is None


def test_the_next_resident_is_asked_to_wait(opened: Browser, served: tuple[Screen, list[str]]) -> None:
    show(opened, served[0], View(screen="weighing", language="en", next_resident_waits=True))
    assert visible(opened, "next") == "Next card or code was read. One moment."


def test_the_deadline_counts_down(opened: Browser, served: tuple[Screen, list[str]]) -> None:
    show(opened, served[0], View(screen="accepting", language="en", deadline_ms=9_000))
    assert opened.wait("/^Time left: [1-9] s$/.test(countdown.textContent) && countdown.textContent")
    assert opened.wait("/^Time left: [1-7] s$/.test(countdown.textContent)")


def test_the_two_buttons_reach_the_server(opened: Browser, served: tuple[Screen, list[str]]) -> None:
    screen, pressed = served
    pressed.clear()
    show(opened, screen, View(screen="accepting", language="zh"))
    assert visible(opened, "language") == "English"
    opened.click("#language")
    opened.click("#done")
    opened.wait("done.disabled")
    assert sorted(pressed) == ["done", "en"]
    show(opened, screen, View(screen="accepting", language="en"))
    assert visible(opened, "language") == "中文"
    opened.click("#language")
    opened.run("return fetch('/')")
    assert pressed[2:] == ["zh"]


@pytest.mark.parametrize(("width", "height"), [(400, 240), (1024, 600), (480, 800)])
def test_another_size_scales_the_whole_screen(
    opened: Browser, served: tuple[Screen, list[str]], width: int, height: int
) -> None:
    show(opened, served[0], CREDITED)
    opened.resize(width, height)
    try:
        factor = min(width / 800, height / 480)
        opened.wait("Math.abs(stage.getBoundingClientRect().width - args[0]) < 1", 800 * factor)
        box = opened.run("return stage.getBoundingClientRect().toJSON()")
        assert box["left"] >= -0.5
        assert box["bottom"] <= height + 0.5
    finally:
        opened.resize(800, 480)
        opened.wait("stage.getBoundingClientRect().width === 800")


def test_a_lost_stream_takes_the_credit_away_and_a_new_daemon_brings_the_page_back(window: Browser) -> None:
    pressed: list[str] = []
    first = Screen("127.0.0.1", 0, on_done=lambda: None, on_language=pressed.append)
    first.start()
    window.open(first.address)
    show(window, first, CREDITED)
    first.close()
    window.wait("stage.dataset.screen === 'lost'")
    assert visible(window, "headline") == "请稍等"
    assert visible(window, "points") is None
    assert visible(window, "done") is None
    assert visible(window, "language") is None
    port = int(first.address.rsplit(":", 1)[1])
    second = Screen("127.0.0.1", port, on_done=lambda: pressed.append("done"), on_language=pressed.append)
    second.start()
    try:
        second.publish(View(screen="accepting", language="zh"))
        window.wait("stage.dataset.screen === 'accepting'")
        token = re.search(r'kiosk-token" content="([^"]+)"', window.run("return fetch('/').then((a) => a.text())"))
        assert token is not None
        window.wait("token === args[0]", token[1])
        window.click("#done")
        window.wait("done.disabled")
        assert pressed == ["done"]
    finally:
        second.close()


def test_a_daemon_that_stands_still_is_noticed_though_its_connections_stay_open(window: Browser) -> None:
    silent = Screen("127.0.0.1", 0, on_done=lambda: None, on_language=lambda _: None)
    silent.start()
    try:
        window.open(silent.address)
        show(window, silent, CREDITED)
        # The page's own clock is moved on: to the page that is the same as no heartbeat for an hour.
        window.run("""
            const now = performance.now.bind(performance);
            window.screens = [];
            new MutationObserver(() => screens.push(stage.dataset.screen)).observe(stage, { attributes: true });
            performance.now = () => now() + 3600_000;
        """)
        window.wait("screens.includes('lost') && stage.dataset.screen === 'credited'")
        assert window.run("return screens.lastIndexOf('lost') < screens.lastIndexOf('credited')")
    finally:
        silent.close()
