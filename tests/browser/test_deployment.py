"""Behind a base path, with several workers of the API server."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from airflow_provider_zbackup.emulator import ControlPlane, serve
from airflow_provider_zbackup.ui.watch import LIFETIME
from dev.airflow_stack import AirflowStack
from tests.browser.conftest import DAGS
from tests.browser.site import ROLES, Site, person

pytestmark = pytest.mark.browser
WORKERS = 2


def test_it_works_behind_a_base_path_with_several_workers(browser: Browser) -> None:
    control_plane = ControlPlane()
    settings = {"AIRFLOW__API__WORKERS": str(WORKERS)}
    with (
        serve(control_plane) as emulator,
        AirflowStack(
            DAGS, components=["api-server"], users=ROLES, base_path="/team", environment=settings
        ) as stack,
    ):
        site = Site(stack, emulator)
        with person(site, browser) as admin:
            with admin.page.expect_response(re.compile("/team/api/v2/.*xcomEntries")) as makers:
                admin.open()
            assert makers.value.ok
            for _ in range(5):
                expect(admin.row("Dedicated-01")).to_be_visible()
                admin.page.reload()
            admin.frame.get_by_role("link", name="Dedicated-01").click()
            expect(admin.frame.get_by_text("There is no backup of this cluster yet")).to_be_visible()
            admin.frame.get_by_role("link", name="All clusters").click()
            expect(admin.row("Dedicated-01")).to_be_visible()
            with site.without_connections():
                admin.open()
                admin.frame.get_by_role("link", name="Admin, Connections").click()
                expect(admin.page).to_have_url(re.compile("/team/connections$"))
            admin.check_complaints()
    # Each worker looks once in 30 s, whoever asks.
    looks = [each.time for each in control_plane.requests if each.operation == "list_clusters"]
    assert looks
    for look in looks:
        assert sum(look <= other < look + LIFETIME - 1 for other in looks) <= WORKERS
