"""One API server and one browser for all tests; each test has its own people, and its own cloud to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from airflow_provider_zbackup.emulator import ControlPlane, serve
from airflow_provider_zbackup.emulator.history import add_history
from dev.airflow_stack import AirflowStack
from dev.browser import open_chromium
from tests.browser.site import ROLES, Person, Site, person

DAGS = Path(__file__).resolve().parent / "dags"
DAG_ID = "nightly"

Meet = Callable[..., Person]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium. Without one, tests fail."""
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def site(browser: Browser) -> Iterator[Site]:
    """A cloud that was used for 30 days, and an Airflow that has made some of its backups."""
    control_plane = ControlPlane()
    add_history(control_plane)
    # The tasks' first two backups run as long as the tests, the third is refused.
    control_plane.faults.add("create_backup", times=2, job={"seconds": 3600, "progress": "42"})
    control_plane.faults.add("create_backup", skip=2, times=1, code=96028, message="Not in this plan.")
    with (
        serve(control_plane) as emulator,
        AirflowStack(DAGS, components=["api-server"], users=ROLES) as stack,
    ):
        site = Site(stack, emulator)
        stack.run("dags", "test", DAG_ID)
        yield site


@pytest.fixture
def meet(site: Site, browser: Browser) -> Iterator[Meet]:
    """Give somebody a browser: see :func:`tests.browser.site.person`."""
    with ExitStack() as people:
        met: list[Person] = []

        def meet(*args: Any, **options: Any) -> Person:
            met.append(people.enter_context(person(site, browser, *args, **options)))
            return met[-1]

        yield meet
        for each in met:
            each.check_complaints()
