"""``make screenshots``: the pictures of the documentation, taken from a real Airflow after a real run."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote

from dev.airflow_api import AirflowApi
from dev.browser import Browser
from dev.example import DAG_ID, example_airflow, provider_log, wait_for_success
from dev.story import Story
from dev.terminal import report, say

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
CONNECTION_TYPE = "Zilliz Cloud"


def take_all() -> None:
    """Run the DAG and take all pictures."""
    with example_airflow() as (_, stack):
        run_id = stack.api.trigger_dag_run(DAG_ID)
        story = Story(stack.api, run_id)
        wait_for_success(stack.api, run_id, story.on_change, story.on_turn)
        run_url = f"{stack.base_url}/dags/{DAG_ID}/runs/{quote(run_id, safe='')}"
        with Browser() as browser:
            take_connection_form(browser, f"{stack.base_url}/connections")
            take_grid(browser, run_url, len(stack.api.task_ids(DAG_ID)))
            take_log(
                browser,
                stack.api,
                run_url,
                run_id,
                max(story.deferred_seconds, key=story.deferred_seconds.__getitem__),
            )
            take_link(browser, stack.api, run_url, run_id)


def take_connection_form(browser: Browser, url: str) -> None:
    """
    Take the form for a new connection, first its standard fields, then the provider's own.

    :param browser: the browser.
    :param url: the list of connections.
    """
    browser.open(url)
    browser.click("button", "Add Connection")
    browser.click("[role=dialog] input[name=connection_id]")
    browser.write("zilliz_default")
    browser.click("[role=dialog] input[role=combobox]")
    browser.write(CONNECTION_TYPE)
    browser.click("[role=option]", CONNECTION_TYPE)
    browser.wait_for_text("API key")
    take(browser, "connection-form")
    browser.click("[role=dialog] button", "Extra Fields")
    browser.wait_for_text("Project id")
    take(browser, "connection-form-extra")


def take_grid(browser: Browser, run_url: str, tasks: int) -> None:
    """
    Take the grid with the finished run.

    :param browser: the browser.
    :param run_url: the run.
    :param tasks: how many tasks it has.
    """
    browser.open(run_url)
    browser.wait_for_text(f"{tasks} Task Instances")
    take(browser, "grid")


def take_log(browser: Browser, api: AirflowApi, run_url: str, run_id: str, task_id: str) -> None:
    """
    Take the log of the task that waited for the backup.

    :param browser: the browser.
    :param api: the Airflow of the run.
    :param run_url: the run.
    :param run_id: its id.
    :param task_id: the task.
    """
    *_, last = provider_log(api, run_id, task_id, try_number=1)
    browser.open(f"{run_url}/tasks/{task_id}")
    browser.wait_for_text(last["event"])
    take(browser, "log")


def take_link(browser: Browser, api: AirflowApi, run_url: str, run_id: str) -> None:
    """
    Take the first extra link of the run, and where it leads.

    :param browser: the browser.
    :param api: the Airflow of the run.
    :param run_url: the run.
    :param run_id: its id.
    """
    task_id, name, url = next(
        (task_id, name, url)
        for task_id in api.task_ids(DAG_ID)
        for name, url in api.extra_links(DAG_ID, run_id, task_id).items()
        if url
    )
    browser.open(f"{run_url}/tasks/{task_id}/details")
    browser.wait_for_text(name)
    take(browser, "extra-link")
    browser.open(url)
    browser.wait_for_text("SUCCESSFUL")
    take(browser, "console")


def take(browser: Browser, name: str) -> None:
    """
    Take a picture.

    :param browser: the browser.
    :param name: name of the file, without its ending.
    """
    IMAGES.mkdir(parents=True, exist_ok=True)
    path = IMAGES / f"{name}.png"
    browser.take_picture(path)
    say(f"docs/images/{path.name}")


if __name__ == "__main__":
    sys.exit(report(take_all))
