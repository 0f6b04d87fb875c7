"""``make screenshots``: takes the pictures of the documentation, in a real Airflow after a real run."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from playwright.sync_api import Browser, Error, Page, expect

from dev.airflow_api import AirflowApi
from dev.browser import WAIT_SECONDS, open_chromium
from dev.example import DAG_ID, example_airflow, provider_log, wait_for_end
from dev.story import Story
from dev.terminal import Failure, run_command, say
from dev.ui import PAGE, use

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
CONNECTION_TYPE = "Zilliz Cloud"

WIDTH, HEIGHT = 1400, 900
# README shows the page *Zilliz backups* at 830 pixels: its texts stay readable, and all its rows are there.
PAGE_WIDTH, PAGE_HEIGHT = 1280, 1020
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")


def take_all() -> None:
    """Run the DAG and take all pictures."""
    with open_chromium() as browser, example_airflow(history=True) as (cloud, stack):
        run_id = stack.api.trigger_dag_run(DAG_ID)
        story = Story(stack.api, DAG_ID, run_id)
        wait_for_end(stack.api, DAG_ID, run_id, story.on_change, story.on_poll)
        run_url = f"{stack.base_url}/dags/{DAG_ID}/runs/{quote(run_id, safe='')}"
        longest_wait = max(story.deferred_seconds, key=story.deferred_seconds.__getitem__)
        with open_page(browser) as page:
            take_connection_form(page, f"{stack.base_url}/connections")
            take_grid(page, run_url, len(stack.api.task_ids(DAG_ID)))
            take_log(page, stack.api, run_url, run_id, longest_wait)
            take_link(page, stack.api, run_url, run_id)
        use(cloud, stack.api)
        for theme in THEMES:
            with open_page(browser, theme, width=PAGE_WIDTH, height=PAGE_HEIGHT, scale=2) as page:
                take_backups_page(page, stack.base_url + PAGE, theme)


@contextmanager
def open_page(
    browser: Browser, theme: Theme = "light", *, width: int = WIDTH, height: int = HEIGHT, scale: int = 1
) -> Iterator[Page]:
    """
    Open an empty page; pictures of it look the same on every machine that has the font Inter.

    :param browser: where to open it.
    :param theme: what the browser asks pages for.
    :param width: of the window.
    :param height: of the window.
    :param scale: pixels of the picture per pixel of the window.
    """
    page = browser.new_page(
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
        locale="en-US",
        timezone_id="UTC",
        color_scheme=theme,
    )
    page.set_default_timeout(1000 * WAIT_SECONDS)
    try:
        yield page
    except (Error, AssertionError) as error:
        raise Failure(f"{error}\nThe page {page.url} says: {page.inner_text('body')}") from error
    finally:
        page.close()


def take_connection_form(page: Page, url: str) -> None:
    """
    Take the form for a new connection, first its standard fields, then the provider's own.

    :param page: the page of the browser.
    :param url: the list of connections.
    """
    page.goto(url)
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.locator("input[name=connection_id]").fill("zilliz_default")
    form.get_by_role("combobox").fill(CONNECTION_TYPE)
    page.get_by_role("option", name=CONNECTION_TYPE).click()
    expect(form.get_by_label("API key")).to_be_visible()
    take(page, "connection-form")
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    expect(form.get_by_text("Project id", exact=True)).to_be_visible()
    take(page, "connection-form-extra")


def take_grid(page: Page, run_url: str, task_count: int) -> None:
    """
    Take the grid with the finished run.

    :param page: the page of the browser.
    :param run_url: address of the run.
    :param task_count: how many tasks the run has.
    """
    page.goto(run_url)
    expect(page.get_by_text(f"{task_count} Task Instances")).to_be_visible()
    take(page, "grid")


def take_log(page: Page, api: AirflowApi, run_url: str, run_id: str, task_id: str) -> None:
    """
    Take the log of the task that waited for the backup.

    :param page: the page of the browser.
    :param api: the Airflow of the run.
    :param run_url: address of the run.
    :param run_id: its id.
    :param task_id: the task.
    """
    *_, last = provider_log(api, DAG_ID, run_id, task_id, try_number=1)
    page.goto(f"{run_url}/tasks/{task_id}")
    expect(page.locator("body")).to_contain_text(last["event"])
    take(page, "log")


def take_link(page: Page, api: AirflowApi, run_url: str, run_id: str) -> None:
    """
    Take the first extra link of the run, and the console that it leads to.

    :param page: the page of the browser.
    :param api: the Airflow of the run.
    :param run_url: address of the run.
    :param run_id: its id.
    """
    task_id, name, url = next(
        (task_id, name, url)
        for task_id in api.task_ids(DAG_ID)
        for name, url in api.extra_links(DAG_ID, run_id, task_id).items()
        if url
    )
    page.goto(f"{run_url}/tasks/{task_id}/details")
    expect(page.get_by_text(name)).to_be_visible()
    take(page, "extra-link")
    page.goto(url)
    expect(page.get_by_text("SUCCESSFUL").first).to_be_visible()
    take(page, "console")


def take_backups_page(page: Page, url: str, theme: Theme) -> None:
    """
    Take the page of all backups, and that of one cluster with the code that restores a backup.

    :param page: the page of the browser.
    :param url: the page of all backups.
    :param theme: what it should look like.
    """
    page.goto(url)
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("Failed", exact=False).first).to_be_visible()
    # Nothing is still to come, and the running backup has got somewhere.
    expect(frame.locator('[data-again="1"]')).to_have_count(0)
    expect(frame.locator(".percent", has_text=re.compile(r"\d\d %"))).to_be_visible()
    take(page, f"backups-{theme}")
    frame.get_by_role("link", name="image-search").click()
    expect(frame.get_by_text("also aws-us-east-1").first).to_be_visible()
    frame.get_by_text("Restore this one").first.click()
    take(page, f"cluster-{theme}")


def take(page: Page, name: str) -> None:
    """
    Take a picture as soon as nothing on the page changes any more.

    :param page: the page of the browser.
    :param name: name of the file, without its ending.
    :raises Failure: if the page goes on changing.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    last, picture = b"", page.screenshot(animations="disabled")
    while picture != last:
        if time.monotonic() > deadline:
            raise Failure(f"the page {page.url} still changes after {WAIT_SECONDS:g} s.")
        page.wait_for_timeout(500)
        last, picture = picture, page.screenshot(animations="disabled")
    IMAGES.mkdir(parents=True, exist_ok=True)
    (IMAGES / f"{name}.png").write_bytes(picture)
    say(f"docs/images/{name}.png")


if __name__ == "__main__":
    sys.exit(run_command(take_all))
