"""The page of one cluster."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from airflow_provider_zbackup.emulator.history import DROPPED_CLUSTER_ID, LARGE_CLUSTER_ID
from airflow_provider_zbackup.emulator.seed import FREE_CLUSTER_ID
from tests.browser.conftest import Meet
from tests.browser.site import NARROW, WIDE, ZOOMED, Theme

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [WIDE, NARROW, ZOOMED])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_shows_all_of_its_backups(meet: Meet, theme: Theme, width: int) -> None:
    admin = meet(theme=theme, width=width)
    admin.open_cluster(LARGE_CLUSTER_ID)
    rows = admin.frame.locator("tbody tr:not(.more)")
    expect(rows).to_have_count(38)
    expect(rows.first).to_contain_text("creating")
    expect(rows.first).to_contain_text("nightly · backup")
    newest = rows.nth(1)
    for text in (
        "cluster",
        "automatic",
        "2 collections",
        " GB",
        "aws-us-east-1",
        "also aws-us-west-2",
        "policy",
    ):
        expect(newest).to_contain_text(text)
    expect(admin.frame.get_by_role("img", name=re.compile("^Size of .* GB → .* GB$"))).to_be_visible()
    newest.get_by_text("2 collections").click()
    expect(newest).to_contain_text("documents, embeddings")
    admin.frame.get_by_text("Restore this one").first.click()
    admin.check_layout()
    admin.check_accessibility()


def test_the_code_that_restores_a_backup_is_copied(meet: Meet) -> None:
    admin = meet(permissions=["clipboard-read", "clipboard-write"])
    admin.open_cluster(LARGE_CLUSTER_ID)
    admin.frame.get_by_text("Restore this one").first.click()
    admin.frame.get_by_role("button", name="Copy").first.click()
    expect(admin.frame.get_by_role("button", name="Copied")).to_be_visible()
    admin.open("/variables")
    copied = admin.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("ZillizRestoreClusterOperator(")
    assert f'cluster_id="{LARGE_CLUSTER_ID}"' in copied


def test_what_is_open_stays_open_when_news_come(meet: Meet) -> None:
    admin = meet()
    admin.open_cluster(LARGE_CLUSTER_ID)
    admin.frame.get_by_text("Restore this one").first.click()
    expect(admin.frame.locator("pre").first).to_be_visible()
    with admin.page.expect_response(re.compile("part=true")):
        admin.look_again()
    expect(admin.frame.locator("pre").first).to_be_visible()


@pytest.mark.parametrize("element", ["summary", "button", "pre"])
def test_the_focus_stays_when_news_come(meet: Meet, element: str) -> None:
    admin = meet()
    admin.open_cluster(LARGE_CLUSTER_ID)
    place = admin.frame.locator("tr.more details").nth(1)
    place.locator("summary").click()
    place.locator(element).focus()
    admin.hear_news()
    expect(place.locator(element)).to_be_focused()


def test_the_focus_stays_on_the_link_to_a_task(meet: Meet) -> None:
    admin = meet()
    admin.open_cluster(LARGE_CLUSTER_ID)
    link = admin.frame.get_by_role("link", name="nightly").first
    link.focus()
    admin.hear_news()
    expect(link).to_be_focused()


def test_the_page_stays_where_the_user_has_scrolled_it(meet: Meet) -> None:
    admin = meet(width=ZOOMED)
    admin.open_cluster(LARGE_CLUSTER_ID)
    admin.frame.locator("tr.more summary").first.focus()
    place = """() => {
        const box = document.querySelector(".scroll");
        return [Math.round(scrollY), Math.round(box.scrollLeft)];
    }"""
    admin.document.evaluate("scrollTo(0, 700); document.querySelector('.scroll').scrollLeft = 100")
    before = admin.document.evaluate(place)
    assert before == [700, 100]
    admin.hear_news()
    assert admin.document.evaluate(place) == before


def test_a_dropped_cluster_keeps_its_backups(meet: Meet) -> None:
    admin = meet()
    admin.open_cluster(DROPPED_CLUSTER_ID)
    expect(admin.frame.get_by_text("Dropped; its backups are kept and billed")).to_be_visible()
    expect(admin.frame.locator("tbody tr:not(.more)")).to_have_count(1)


def test_a_free_cluster_cannot_have_backups(meet: Meet) -> None:
    admin = meet()
    admin.open_cluster(FREE_CLUSTER_ID)
    expect(admin.frame.get_by_text("Cannot have backups")).to_be_visible()
    expect(admin.notice).to_have_count(0)


def test_a_cluster_that_nobody_knows(meet: Meet) -> None:
    admin = meet()
    admin.open_cluster("in01-nowhere")
    expect(admin.notice).to_contain_text("No cluster in01-nowhere")
    expect(admin.frame.get_by_role("status")).to_have_text("No cluster in01-nowhere")
    admin.check_accessibility()
