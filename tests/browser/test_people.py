"""Who sees what, and what the page says when it has nothing to show."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from tests.browser.conftest import Meet
from tests.browser.site import NARROW, Site

pytestmark = pytest.mark.browser


def test_an_operator_sees_it(meet: Meet) -> None:
    op = meet("op")
    op.open()
    expect(op.row("Dedicated-02")).to_be_visible()


def test_who_may_read_no_connection_learns_nothing_of_them(meet: Meet) -> None:
    viewer = meet("viewer", width=NARROW)
    viewer.open()
    expect(viewer.frame.get_by_role("heading", name="You may not read any connection")).to_be_visible()
    text = viewer.frame.locator("body").inner_text()
    assert "Dedicated" not in text
    assert "zilliz_default" not in text
    viewer.check_accessibility()
    viewer.open_cluster(DEDICATED_CLUSTER_ID)
    expect(viewer.frame.get_by_role("alert")).to_contain_text("You may not read this connection")
    viewer.check_accessibility()


def test_who_has_not_logged_in_comes_to_the_login_page(meet: Meet) -> None:
    nobody = meet("")
    nobody.open()
    expect(nobody.page).to_have_url(re.compile("/auth/login"))
    nobody.page.get_by_label("Username").fill("admin")
    nobody.page.get_by_label("Password").fill("admin")
    nobody.page.get_by_role("button", name="Sign in").click()
    expect(nobody.row("Dedicated-02")).to_be_visible()


def test_who_has_not_logged_in_gets_nothing_from_its_address(meet: Meet) -> None:
    nobody = meet("")
    nobody.open("/zilliz/backups")
    expect(nobody.page.get_by_role("alert")).to_contain_text("Your session has ended")
    assert "Dedicated" not in nobody.page.content()


def test_when_the_session_ends_inside_the_frame_airflow_asks_for_the_login(meet: Meet) -> None:
    admin = meet()
    admin.open()
    expect(admin.row("Dedicated-02")).to_be_visible()
    admin.context.clear_cookies()
    admin.look_again()
    expect(admin.page).to_have_url(re.compile("/auth/login"))


def test_without_a_connection_it_says_how_to_make_one(site: Site, meet: Meet) -> None:
    admin = meet(width=NARROW)
    with site.without_connections():
        admin.open()
        expect(admin.frame.get_by_role("heading", name="There is no connection")).to_be_visible()
        admin.check_layout()
        admin.check_accessibility()
        admin.frame.get_by_role("link", name="Admin, Connections").click()
        expect(admin.page).to_have_url(re.compile("/connections$"))
        expect(admin.page.get_by_role("button", name="Add Connection")).to_be_visible()


@pytest.mark.parametrize(
    ("connection", "fault", "words"),
    [
        ({"password": "wrong-key"}, None, "does not accept the API key"),
        ({}, {"operation": "*", "status": 403}, "Zilliz Cloud cannot be asked"),
        ({}, {"operation": "*", "status": 503}, "Zilliz Cloud does not answer"),
        ({"host": "http://127.0.0.1:9"}, None, "Zilliz Cloud does not answer"),
    ],
    ids=["wrong key", "no permission", "API down", "nobody there"],
)
def test_what_is_wrong_is_said_in_words(
    site: Site, meet: Meet, connection: dict[str, Any], fault: dict[str, Any] | None, words: str
) -> None:
    admin = meet(theme="dark", width=NARROW)
    name = "broken"
    with site.other_cloud(name, **connection) as cloud:
        if fault:
            cloud.faults.add(**fault)
        admin.open()
        # The other connection is shown as ever.
        expect(admin.row("Dedicated-02")).to_be_visible()
        expect(admin.notice).to_have_count(1)
        expect(admin.notice).to_contain_text(words)
        assert "wrong-key" not in admin.page.content()
        admin.check_layout()
        admin.check_accessibility()


def test_when_zilliz_cloud_goes_down_the_last_answer_stays_with_its_age(site: Site, meet: Meet) -> None:
    admin = meet(width=NARROW)
    with site.other_cloud("ageing") as cloud:
        admin.open_inside("/backups?connection=ageing")
        expect(admin.row("Dedicated-01")).to_be_visible()
        cloud.faults.add("*", status=503)
        # The page looks again after 30 s.
        expect(admin.notice).to_contain_text("Zilliz Cloud does not answer. What you see is")
        expect(admin.row("Dedicated-01")).to_be_visible()
        # A screen reader says so once, and not each time the age is written.
        expect(admin.frame.get_by_role("status")).to_contain_text("ageing: Zilliz Cloud does not answer.")
        admin.document.evaluate("""() => {
            window.said = 0;
            const observer = new MutationObserver(() => window.said += 1);
            observer.observe(document.querySelector("[role=status]"), { childList: true });
        }""")
        admin.hear_news()
        assert admin.document.evaluate("window.said") == 0
        admin.page.unroute_all()
        admin.check_layout()
        admin.check_accessibility()
        cloud.faults.clear()
        expect(admin.notice).to_have_count(0)
        expect(admin.row("Dedicated-01")).to_be_visible()


@pytest.mark.parametrize("status", [0, 500, 503], ids=["offline", "error", "proxy"])
def test_when_airflow_does_not_answer_what_was_shown_stays(meet: Meet, status: int) -> None:
    admin = meet(width=NARROW)
    admin.open()
    expect(admin.row("Dedicated-02")).to_be_visible()
    alert = admin.frame.get_by_role("alert")

    def fail(route: Route) -> None:
        if status:
            route.fulfill(status=status, body="<h1>Bad gateway</h1>", content_type="text/html")
        else:
            route.abort()

    admin.page.route(re.compile("part=true"), fail)
    admin.look_again()
    expect(alert).to_contain_text("Airflow does not answer")
    expect(admin.row("Dedicated-02")).to_be_visible()
    expect(admin.frame.get_by_text("Bad gateway")).to_have_count(0)
    admin.check_accessibility()
    admin.page.unroute(re.compile("part=true"))
    expect(alert).to_have_count(0)


def test_a_page_that_only_says_what_is_wrong_is_right_when_one_comes_back_to_it(meet: Meet) -> None:
    admin = meet()
    admin.open_inside("/backups?page=x")
    with admin.page.expect_response(re.compile("page=x")):
        admin.look_again()
    expect(admin.frame.get_by_role("alert")).to_have_text(re.compile("This address is not complete"))


def test_a_connection_that_goes_away_is_no_longer_shown(site: Site, meet: Meet) -> None:
    admin = meet()
    with site.other_cloud("leaving"):
        admin.open_cluster(DEDICATED_CLUSTER_ID, "leaving")
        expect(admin.frame.get_by_role("heading", name="Dedicated-01")).to_be_visible()
    admin.look_again()
    expect(admin.frame.get_by_role("alert")).to_contain_text("You may not read this connection")
    assert "Dedicated-01" not in admin.frame.locator("body").inner_text()


def test_a_cloud_where_nothing_is_yet(site: Site, meet: Meet) -> None:
    admin = meet()
    with site.other_cloud("empty") as cloud:
        cloud.clusters.clear()
        admin.open_inside("/backups?connection=empty")
        expect(admin.frame.get_by_text("There are no clusters that this key can see")).to_be_visible()
        admin.check_accessibility()


def test_the_frame_comes_before_a_slow_cloud_answers(site: Site, meet: Meet) -> None:
    admin = meet()
    with site.other_cloud("slow") as cloud:
        cloud.faults.add("list_clusters", times=1, delay=4)
        admin.open_inside("/backups?connection=slow")
        expect(admin.frame.get_by_role("status")).to_contain_text("Asking Zilliz Cloud through slow")
        expect(admin.row("Dedicated-01")).to_be_visible()
