"""``make ui``: Airflow's UI with the page *Zilliz backups*, beside a cloud that was used for 30 days."""

from __future__ import annotations

import sys
import time

from airflow_provider_zbackup.emulator.history import LARGE_CLUSTER_ID, NEW_CLUSTER_ID
from dev.airflow_api import AirflowApi
from dev.emulated_cloud import EmulatedCloud
from dev.example import DAG_ID, example_airflow
from dev.processes import wait_until
from dev.terminal import run_command, say

#: Where Airflow shows the page.
PAGE = "/plugin/zilliz-backups"
TASK_SECONDS = 180.0
LONG_JOB_SECONDS = 5 * 60.0


def main() -> int:
    """Show Airflow's UI and return the exit code."""
    return run_command(show)


def show() -> None:
    """Keep everything running until Ctrl-C."""
    say("Starting an emulated Zilliz Cloud and a real Airflow (10 to 20 seconds) ...")
    with example_airflow(history=True) as (cloud, stack):
        say(f"The page:                     {stack.base_url}{PAGE}")
        say(f"Zilliz Cloud, with buttons:   {cloud.base_url}")
        use(cloud, stack.api)
        say("Ctrl-C ends it.")
        try:
            while True:
                stack.check_alive()
                time.sleep(1)
        except KeyboardInterrupt:
            say("\nStopping ...")


def use(cloud: EmulatedCloud, api: AirflowApi) -> None:
    """
    Let tasks of Airflow make a backup, begin a long one, and fail to make one.

    :param cloud: a cloud with a history.
    :param api: the Airflow that is connected to it.
    """
    start_backup(api, {})
    cloud.fault("create_backup", times=1, job={"seconds": LONG_JOB_SECONDS})
    start_backup(api, {"cluster_id": LARGE_CLUSTER_ID, "collections": ["documents"]})
    cloud.fault(
        "create_backup", times=1, code=96028, message="Feature only supported for enterprise plan clusters."
    )
    start_backup(api, {"cluster_id": NEW_CLUSTER_ID, "collections": ["documents"]})


def start_backup(api: AirflowApi, conf: dict[str, object]) -> None:
    """
    Run the example DAG until its backup has started, or could not.

    :param api: the Airflow.
    :param conf: what to back up.
    """
    run_id = api.trigger_dag_run(DAG_ID, conf)

    def has_ended() -> bool:
        return api.task_instance(DAG_ID, run_id, "backup")["state"] in ("success", "failed")

    wait_until(has_ended, TASK_SECONDS, f"The task backup of {run_id} ends")


if __name__ == "__main__":
    sys.exit(main())
