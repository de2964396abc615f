"""Who needs me, and what failed tonight, and where: a crowd of sixty tasks, as somebody meets it who has never seen it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from support import crowd
from support.backend_process import BackendProcess

Open = Callable[..., Page]

SIZES = {"desk": (1440, 900), "tablet": (1024, 768), "phone": (390, 844)}


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    """A backend with the crowd. Its tests change nothing in it."""
    backend = BackendProcess(tmp_path_factory.mktemp("sixty"))
    backend.start()
    crowd.send(backend)
    with crowd.beating(backend):
        yield backend
    backend.stop()


def sized(size: str, **options: object) -> dict[str, object]:
    width, height = SIZES[size]
    return {"viewport": {"width": width, "height": height}, "reduced_motion": "reduce", **options}


def of_state(page: Page, state: str) -> Locator:
    return page.locator(f".row[data-status={state}]")


def violations(page: Page) -> str:
    return str(Axe().run(page, options={"resultTypes": ["violations"]}).generate_report())


@pytest.mark.parametrize("size", SIZES)
def test_the_first_screen_says_who_needs_me_and_what_failed_and_where(
    size: str, sixty: BackendProcess, open_page: Open
) -> None:
    page = open_page(sixty.url, **sized(size))
    counts = page.locator(".counts-side").first.get_by_role("link")
    expect(counts).to_have_text(["Needs you2", "Failed4(1 new)", "Dead3", "No signal6"])
    for n in range(4):
        expect(counts.nth(n)).to_be_in_viewport(ratio=1)
    for shown in of_state(page, "waiting").all():
        expect(shown).to_be_in_viewport(ratio=1)
        expect(shown.locator(".summary")).to_have_text(re.compile(r"\?$"))
    failed = of_state(page, "failed").first
    expect(failed).to_be_in_viewport(ratio=1)
    for part in (".title", ".row-place[data-column=host]", ".evidence"):
        expect(failed.locator(part)).to_be_in_viewport(ratio=1)
    expect(failed.locator(".evidence")).to_have_text(re.compile(r"ended \d+ h ago"))
    whole = page.evaluate("""() => [...document.querySelectorAll('.row')].filter((row) => {
        const { top, bottom } = row.getBoundingClientRect();
        return top >= 0 && bottom <= innerHeight;
    }).length""")
    assert whole >= {"desk": 20, "tablet": 16, "phone": 8}[size]
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0


@pytest.mark.parametrize(("scheme", "locale", "size"), [("light", "zh-CN", "desk"), ("dark", "en-US", "phone")])
def test_axe_finds_nothing_in_groups_selection_palette_and_dialogs(
    scheme: str, locale: str, size: str, sixty: BackendProcess, open_page: Open
) -> None:
    page = open_page(f"{sixty.url}/?group=project", **sized(size, color_scheme=scheme, locale=locale))
    expect(page.locator(".group").first).to_be_visible()
    page.locator(".row .title").first.focus()
    page.keyboard.press("x")
    expect(page.locator(".selection-bar")).to_be_visible()
    assert "Found 0 accessibility violations" in (report := violations(page)), report
    for keys in ("Control+k", "?", "e"):
        page.keyboard.press(keys)
        expect(page.get_by_role("dialog")).to_be_visible()
        assert "Found 0 accessibility violations" in (report := violations(page)), report
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_groups_have_their_counts_and_fold_and_all_of_it_is_in_the_address(sixty: BackendProcess, open_page: Open) -> None:
    page = open_page(sixty.url, **sized("desk"))
    page.get_by_label("Group").select_option("project")
    expect(page).to_have_url(f"{sixty.url}/?group=project")
    headings = page.locator(".group")
    expect(headings.first.locator(".group-count:visible").first).to_have_text(re.compile(r"\d Needs you"))
    expect(page.locator(".row-place[data-column=project]").first).to_be_hidden()
    page.get_by_label("Sort").select_option("title")
    name = headings.first.locator(".group-name").inner_text()
    headings.first.locator(".group-fold").click()
    expect(page).to_have_url(re.compile(rf"group=project&sort=title&folded={name}$"))
    expect(headings.first.locator("[aria-expanded=false]")).to_be_visible()

    shared = open_page(page.url, **sized("desk"))
    expect(shared.locator(".group").first.locator("[aria-expanded=false]")).to_contain_text(name)
    titles = shared.locator(".row:not([data-depth]) .title").all_inner_texts()[:4]
    assert titles == sorted(titles, key=str.lower)


def test_a_search_takes_pairs_states_and_words(sixty: BackendProcess, open_page: Open) -> None:
    page = open_page(sixty.url, **sized("desk"))
    search = page.get_by_role("searchbox")
    expect(page.locator(".filter[data-filter=all] .filter-count")).to_have_text("60")
    search.fill("host:gpu-07")
    expect(page.locator(".filter[data-filter=all] .filter-count")).not_to_have_text("60")
    assert set(page.locator(".row-place[data-column=host]").all_inner_texts()) == {"gpu-07"}
    search.fill("state:needs-you")
    expect(page.locator(".row .badge")).to_have_text(["Needs you"] * 2)
    search.fill('"drop column" needs')
    expect(page.locator(".row .title")).to_have_count(1)
    expect(page).to_have_url(re.compile("q=%22drop\\+column%22\\+needs"))
    search.fill("nothing-is-called-so")
    expect(page.get_by_role("link", name="Look at all times")).to_be_visible()


def test_a_time_range_hides_what_ended_before_and_nothing_else(sixty: BackendProcess, open_page: Open) -> None:
    page = open_page(f"{sixty.url}/?range=1h", **sized("desk"))
    expect(page.locator(".filter[data-filter=waiting] .filter-count")).to_have_text("2")
    # What nobody has acknowledged is there however old it is.
    expect(page.locator(".filter[data-filter=lost] .filter-count")).to_have_text("3")
    done = page.locator(".filter[data-filter=done] .filter-count")
    expect(done).not_to_have_text("18")
    page.get_by_label("Time range").select_option("24h")
    expect(done).to_have_text("18")


def test_subtasks_are_under_the_task_that_they_are_a_part_of(sixty: BackendProcess, open_page: Open) -> None:
    page = open_page(f"{sixty.url}/?q=shard", **sized("desk"))
    expect(page.locator(".row")).to_have_count(3)
    expect(page.locator(".row[data-depth]")).to_have_count(0)
    parent = sixty.call("GET", "/api/tasks/working-0")["title"]
    page.goto(f"{sixty.url}/?status=running&group=none")
    expect(page.locator(".row[data-depth='1']")).to_have_count(3)
    titles = page.locator(".row .title").all_inner_texts()
    place = next(n for n, title in enumerate(titles) if title.startswith("Shard"))
    assert titles[place - 1] == parent
    assert all(title.startswith("Shard") for title in titles[place : place + 3])


def test_the_keyboard_alone_moves_searches_opens_and_switches_the_theme(sixty: BackendProcess, open_page: Open) -> None:
    page = open_page(sixty.url, **sized("desk", color_scheme="light"))
    expect(page.locator(".row").first).to_be_visible()
    titles = page.locator(".row .title")
    page.keyboard.press("j")
    expect(titles.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(titles.nth(1)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("g")
    expect(page).to_have_url(f"{sixty.url}/?group=project")
    page.keyboard.press("Control+k")
    page.keyboard.type("colours")
    for theme in ("light", "dark"):
        expect(page.locator(".palette-option[aria-selected=true]")).to_contain_text("Colours")
        page.keyboard.press("Enter")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        page.keyboard.press("Control+k")
        page.keyboard.type("colours")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    page.keyboard.press("Control+a")
    page.keyboard.type("show: dead")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{sixty.url}/?status=lost")
    expect(page.locator(".row .badge")).to_have_text(["Dead"] * 3)
    page.keyboard.press("j")
    title = page.locator(".row .title").first.inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_key_that_follows_a_dialog_at_once_keeps_its_effect(sixty: BackendProcess, open_page: Open) -> None:
    page = open_page(sixty.url, **sized("desk"))
    expect(page.locator(".row").first).to_be_visible()
    page.keyboard.press("j")
    expect(page.locator(".row .title").first).to_be_focused()
    page.keyboard.press("Control+k")
    page.keyboard.type("show: dead")
    page.evaluate("""() => {
        const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        press("Enter");
        press("j"); // in the same turn: the browser tells of the dialog's end in the next
    }""")
    expect(page.locator(".row .badge")).to_have_text(["Dead"] * 3)
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator(".row .title").first).to_be_focused()


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-US"), ("dark", "zh-CN")])
def test_the_menu_of_a_row_offers_what_can_be_done_to_its_task(
    scheme: str, locale: str, sixty: BackendProcess, open_page: Open
) -> None:
    page = open_page(f"{sixty.url}/?status=lost", **sized("desk", color_scheme=scheme, locale=locale))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    words = {"en-US": ["Open", "Copy link", "Close", "Acknowledge"], "zh-CN": ["打开", "复制链接", "关闭", "确认"]}[locale]
    first = page.locator(".row").first
    more = first.locator(".row-more")
    more.focus()
    page.keyboard.press("Enter")
    items = page.get_by_role("menu").get_by_role("menuitem")
    expect(items).to_have_text(words)
    expect(items.first).to_be_focused()
    expect(more).to_have_attribute("aria-expanded", "true")
    assert "Found 0 accessibility violations" in (report := violations(page)), report
    page.keyboard.press("j")
    page.keyboard.press("ArrowUp")
    expect(items.last).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(more).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("menu")).to_have_count(0)
    address = str(first.locator(".title").evaluate("(link) => link.href"))
    page.wait_for_function("async (address) => await navigator.clipboard.readText() === address", arg=address)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(more).to_be_focused()
    expect(more).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page).to_have_url(address)


def test_display_is_chosen_and_remembered(sixty: BackendProcess, open_page: Open) -> None:
    page = open_page(sixty.url, **sized("desk"))
    page.get_by_role("button", name="Display").click()
    dialog = page.get_by_role("dialog", name="Display")
    dialog.get_by_label("Density").select_option("compact")
    dialog.get_by_label("Times").select_option("by the clock")
    dialog.get_by_role("button", name="Close").click()
    page.reload()
    expect(page.locator(".row").first).to_have_css("height", "28px")
    expect(of_state(page, "waiting").first.locator(".evidence")).to_have_text(re.compile(r"^asked \d\d:\d\d:\d\d$"))
