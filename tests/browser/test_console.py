"""The emulator's console: each of its buttons, pressed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from airflow_provider_zbackup.emulator import ControlPlane, serve
from airflow_provider_zbackup.emulator.console import FAULTS
from airflow_provider_zbackup.emulator.formats import DAY
from airflow_provider_zbackup.emulator.history import HOUR, add_history
from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from tests.browser.site import NARROW

pytestmark = pytest.mark.browser


@pytest.fixture
def control_plane() -> ControlPlane:
    control_plane = ControlPlane()
    add_history(control_plane)
    return control_plane


@pytest.fixture
def console(control_plane: ControlPlane, browser: Browser) -> Iterator[Page]:
    """The first page of the console."""
    with (
        serve(control_plane) as emulator,
        browser.new_context(viewport={"width": NARROW, "height": 800}) as own,
    ):
        page = own.new_page()
        page.goto(emulator.connection["host"])
        yield page


def press(console: Page, name: str) -> None:
    """Press the first button of that name; the page comes anew."""
    with console.expect_navigation():
        console.get_by_role("button", name=name, exact=True).first.click()


@pytest.mark.parametrize(("name", "seconds"), [("+ 1 hour", HOUR), ("+ 1 day", DAY)])
def test_time_goes_faster(control_plane: ControlPlane, console: Page, name: str, seconds: float) -> None:
    before = control_plane.now()
    press(console, name)
    assert control_plane.now() - before >= seconds


def test_faults_come_and_go(control_plane: ControlPlane, console: Page) -> None:
    for name in FAULTS:
        press(console, name)
    expect(console.locator(".rules li")).to_have_count(len(FAULTS))
    press(console, "Remove all")
    expect(console.locator(".rules li")).to_have_count(0)
    assert control_plane.faults.rules == []


@pytest.mark.parametrize(
    ("name", "method"), [("A colleague backs up", "MANUAL"), ("The policy backs up", "AUTO")]
)
@pytest.mark.parametrize(("end", "status"), [("Fail", "FAILED"), ("Cancel", "CANCELED")])
def test_a_backup_starts_and_ends_badly(
    control_plane: ControlPlane, console: Page, name: str, method: str, end: str, status: str
) -> None:
    press(console, name)
    newest = max(control_plane.present_backups(DEDICATED_CLUSTER_ID), key=lambda each: each.created)
    assert newest.creation_method == method
    job = console.get_by_role("row").filter(has_text=newest.job.job_id)
    press(console, end)
    expect(job).to_contain_text(status)
    expect(job.get_by_role("button")).to_have_count(0)


def test_each_page_is_reached_and_can_be_read_by_everybody(console: Page) -> None:
    console.get_by_role("button", name="The service is down").click()
    for link in ("Search", "image-search", "Jobs", "Default Project"):
        console.get_by_role("link", name=link, exact=True).first.click()
        # Else the page comes anew every 5 s.
        console.get_by_role("button").first.focus()
        results = Axe().run(console)
        assert results.violations_count == 0, results.generate_report()
        width, window = console.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width == window
