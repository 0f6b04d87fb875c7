"""The overview of all clusters, as people see and use it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from packaging.version import Version
from playwright.sync_api import expect

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.emulator.history import LARGE_CLUSTER_ID
from airflow_provider_zbackup.version_compat import AIRFLOW_VERSION
from dev.ui import PAGE
from tests.browser.conftest import Meet
from tests.browser.site import CONN_ID, NARROW, PRICE, WIDE, ZOOMED, Site, Theme

pytestmark = pytest.mark.browser


def test_the_menu_leads_to_it(meet: Meet) -> None:
    admin = meet()
    admin.open("/")
    admin.page.get_by_role("button", name="Browse").click()
    admin.page.get_by_role("menuitem", name="Zilliz backups").click()
    expect(admin.frame.get_by_role("heading", name="Zilliz Cloud backups")).to_be_visible()


@pytest.mark.parametrize("width", [WIDE, NARROW, ZOOMED])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_says_at_one_look_who_is_at_risk(meet: Meet, theme: Theme, width: int) -> None:
    admin = meet(theme=theme, width=width)
    admin.open()
    tiles = admin.frame.locator(".tiles")
    expect(tiles).to_contain_text("4 of 6")
    expect(tiles).to_contain_text("estimated cost per month")
    names = admin.frame.locator("tbody th a")
    expect(names.first).to_have_text("new-catalogue")
    # Stale first, then by age; what cannot have backups comes last and is not red.
    assert names.all_inner_texts()[1] == "Dedicated-02"
    assert names.all_inner_texts()[-2:] == ["Free-01", "Serverless-01"]
    expect(admin.row("Dedicated-02")).to_contain_text("Stale: 3 d 3 h old, target 24 h")
    expect(admin.row("Free-01")).to_contain_text("Cannot have backups")
    assert "Stale" not in admin.row("Free-01").inner_text()
    expect(admin.row("image-search")).to_contain_text("daily 22:00-00:00 UTC")
    expect(admin.row("image-search")).to_contain_text("next run in")
    expect(admin.row("image-search").get_by_role("progressbar")).to_have_attribute("value", "42")
    expect(admin.row("image-search").locator(".made")).to_contain_text("nightly · backup")
    expect(admin.row("new-catalogue")).to_contain_text("nightly · refused")
    expect(admin.row("image-search").get_by_role("img")).to_have_accessible_name(
        re.compile(r"Backups on \d+ of the last 30 days")
    )
    admin.check_layout()
    admin.check_accessibility()
    text, back = (
        admin.document.evaluate(f"getComputedStyle({element}).{what}")
        for element, what in (
            ("document.body", "color"),
            ("document.querySelector('input')", "backgroundColor"),
        )
    )
    assert (_brightness(text) < _brightness(back)) == (theme == "light")


def _brightness(colour: str) -> int:
    return sum(int(number) for number in re.findall(r"\d+", colour)[:3])


def test_it_follows_when_airflow_changes_its_theme(meet: Meet) -> None:
    admin = meet(theme="light")
    admin.open()
    expect(admin.frame.locator("table")).to_be_visible()
    # As a browser does that tells frames the theme of the system.
    for theme in ("dark", "light"):
        admin.page.evaluate(f"document.documentElement.className = '{theme}'")
        expect(admin.frame.locator(f"html.{theme}")).to_be_attached()


def test_the_task_that_made_a_backup_is_one_click_away(meet: Meet) -> None:
    admin = meet()
    admin.open()
    admin.row("image-search").get_by_role("link", name="nightly").click()
    expect(admin.page).to_have_url(re.compile(r"/dags/nightly/runs/[^/]+/tasks/backup/mapped/0$"))
    expect(admin.page.get_by_role("heading", name=re.compile("backup"))).to_be_visible()
    admin.page.go_back()
    expect(admin.frame.get_by_role("heading", name="Zilliz Cloud backups")).to_be_visible()


def test_the_task_that_failed_is_one_click_away(meet: Meet) -> None:
    admin = meet()
    admin.open()
    admin.row("new-catalogue").get_by_role("link", name="nightly").click()
    expect(admin.page).to_have_url(re.compile(r"/dags/nightly/runs/[^/]+/tasks/refused$"))


def test_with_the_control_key_a_task_opens_in_a_tab_of_its_own(meet: Meet) -> None:
    admin = meet()
    admin.open()
    link = admin.row("image-search").get_by_role("link", name="nightly")
    with admin.context.expect_page() as opened:
        link.click(modifiers=["ControlOrMeta"])
    expect(opened.value).to_have_url(re.compile("/dags/nightly/"))
    expect(link).to_be_visible()


def test_the_console_opens_in_a_tab_of_its_own(meet: Meet) -> None:
    admin = meet()
    admin.open()
    with admin.context.expect_page() as opened:
        admin.frame.get_by_role("link", name="Zilliz Cloud console").click()
    expect(opened.value.get_by_text("Emulated Zilliz Cloud")).to_be_visible()


def test_clusters_are_found_by_text_and_project(meet: Meet) -> None:
    admin = meet()
    admin.open()
    rows = admin.frame.locator("tbody tr")
    expect(rows).to_have_count(9)
    admin.frame.get_by_label("Find").fill("stale")
    expect(rows).to_have_count(2)
    admin.frame.get_by_label("Project").select_option("Search")
    expect(rows).to_have_count(1)
    admin.frame.get_by_label("Find").fill("no such thing")
    expect(admin.notice).to_contain_text("No cluster matches")
    expect(admin.frame.get_by_role("status")).to_have_text("No cluster matches.")
    admin.frame.get_by_role("link", name="Show all").click()
    expect(rows).to_have_count(9)


def test_it_is_used_with_the_keyboard_alone(meet: Meet) -> None:
    admin = meet()
    admin.open()
    expect(admin.frame.locator("tbody tr")).to_have_count(9)
    admin.frame.get_by_label("Find").focus()
    focused = admin.frame.locator(":focus")
    for name in ("all", "Zilliz Cloud console", "new-catalogue"):
        admin.page.keyboard.press("Tab")
        expect(focused).to_contain_text(name)
    assert admin.document.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    admin.page.keyboard.press("Enter")
    expect(admin.frame.get_by_role("heading", name="new-catalogue")).to_be_visible()


def test_times_are_in_the_zone_of_the_user(meet: Meet) -> None:
    admin = meet()
    admin.context.add_init_script("localStorage.setItem('timezone', '\"Asia/Tokyo\"')")
    admin.open()
    time = admin.row("Dedicated-02").locator("time").first
    expect(time).to_have_text("3 d 3 h")
    expect(time).to_have_attribute("title", re.compile(r"GMT\+9"))
    # Airflow stores what the user chooses in its menu.
    admin.page.evaluate("localStorage.setItem('timezone', '\"America/New_York\"')")
    expect(time).to_have_attribute("title", re.compile(r"GMT-[45]"))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_each_backup_is_on_its_day_in_the_zone_of_the_user(site: Site, meet: Meet, zone: str) -> None:
    admin = meet(timezone_id=zone)
    admin.open()
    with site.control_plane.lock:
        now = site.control_plane.now()
        created = [each.created for each in site.control_plane.present_backups(LARGE_CLUSTER_ID)]
    today, *days = (datetime.fromtimestamp(moment, ZoneInfo(zone)).date() for moment in (now, *created))
    expected = [days.count(today - timedelta(days=ago)) for ago in range(29, -1, -1)]
    titles = admin.row("image-search").locator(".day title")
    expect(titles.last).to_contain_text(f"{today:%a} {today.day} {today:%b}: ")
    shown = [sum(map(int, re.findall(r"(\d+) [amr]", title))) for title in titles.all_text_contents()]
    assert shown == expected


def test_every_number_is_what_the_api_says(site: Site, meet: Meet) -> None:
    admin = meet()
    admin.open()
    with site.control_plane.lock:
        now = site.control_plane.now()
        usable = [
            backup for backup in site.control_plane.present_backups() if backup.status(now) == "AVAILABLE"
        ]
    size = sum(backup.size(now) for backup in usable)
    tiles = admin.frame.locator(".tiles dd")
    expect(tiles.nth(1)).to_have_text("3")
    expect(tiles.nth(2)).to_have_text(str(len(usable)))
    expect(tiles.nth(3)).to_have_text(f"{size / 1e12:.1f} TB")
    expect(tiles.nth(4)).to_have_text(f"≈ {PRICE * size / 1e9:,.2f}")
    own = [backup for backup in usable if backup.cluster_id == LARGE_CLUSTER_ID]
    row = admin.row("image-search")
    expect(row.locator("td.number")).to_contain_text(f"{len(own)}")
    expect(row.locator("td.number")).to_contain_text(f"{sum(each.size(now) for each in own) / 1e12:.1f} TB")
    newest = max(backup.created for backup in own)
    expect(row.locator("time").first).to_have_attribute(
        "title", f"{datetime.fromtimestamp(newest, UTC):%-d %b %Y, %H:%M:%S} UTC"
    )


def test_a_thousand_clusters_stay_usable(site: Site, meet: Meet) -> None:
    admin = meet()
    with site.other_cloud("fleet", extra={"requests_per_second": 1000}) as fleet:
        fleet.put_fleet(1000, 1)
        admin.open_inside("/backups?connection=fleet")
        expect(admin.frame.locator("caption")).to_contain_text("1,004 clusters")
        expect(admin.frame.get_by_text("page 1 of 21")).to_be_visible()
        admin.frame.get_by_role("link", name="Next").click()
        expect(admin.frame.get_by_text("page 2 of 21")).to_be_visible()
        admin.frame.get_by_label("Find").fill("fleet-777")
        expect(admin.frame.locator("tbody tr")).to_have_count(1)


def test_names_are_text_and_long_ones_break(site: Site, meet: Meet) -> None:
    admin = meet(width=NARROW)
    evil = "<img src=x onerror=alert(1)>" + "a" * 200
    with site.other_cloud("evil") as cloud:
        for cluster in cloud.clusters.values():
            cluster.cluster_name = evil
            cloud.start_backup(cluster, operation="x", plan=JobPlan(seconds=1000))
        admin.open_inside("/backups?connection=evil")
        expect(admin.frame.get_by_role("link", name=evil)).to_have_count(4)
        expect(admin.frame.locator("tbody img")).to_have_count(0)
        admin.check_layout()
        admin.check_accessibility()


@pytest.mark.skipif(Version("3.3") > AIRFLOW_VERSION, reason="Airflow shows only the first page's address")
def test_each_page_has_an_address_of_its_own(meet: Meet) -> None:
    admin = meet()
    admin.open()
    admin.frame.get_by_role("link", name="image-search").click()
    address = re.compile(f"{PAGE}/zilliz/clusters/{LARGE_CLUSTER_ID}")
    expect(admin.page).to_have_url(address)
    other = meet()
    other.page.goto(admin.page.url)
    expect(other.frame.get_by_role("heading", name="image-search")).to_be_visible()


def test_a_cluster_opens_inside_the_frame(meet: Meet) -> None:
    admin = meet()
    admin.open()
    admin.frame.get_by_role("link", name="image-search").click()
    expect(admin.frame.get_by_role("heading", name="image-search")).to_be_visible()
    assert f"/zilliz/clusters/{LARGE_CLUSTER_ID}?connection={CONN_ID}" in admin.document.url
    admin.frame.get_by_role("link", name="All clusters").click()
    expect(admin.frame.get_by_role("heading", name="Zilliz Cloud backups")).to_be_visible()
