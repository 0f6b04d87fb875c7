"""
``make demo``: a backup in a real Airflow against the emulated Zilliz Cloud, shown as it happens, then proved.

Exit code 0 means: the DDL task began after the end of the backup, and the wait for the backup was deferred.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta

from dev.airflow_api import AirflowApi, Json
from dev.example import DAG_ID, example_airflow, wait_for_success
from dev.story import Story
from dev.terminal import Failure, run_command, say

# The API, real or emulated, rounds times down to whole seconds.
CLOUD_TIME_STEP = timedelta(seconds=1)


def main() -> int:
    """Run the demo and return the exit code."""
    return run_command(demonstrate)


def demonstrate() -> None:
    """Run the DAG and prove that its tasks ran in the right order."""
    begun = time.monotonic()
    say("Starting an emulated Zilliz Cloud and a real Airflow (10 to 20 seconds) ...")
    with example_airflow() as (cloud, stack):
        say(f"Airflow: {stack.base_url}   Zilliz Cloud console: {cloud.base_url}\n")
        run_id = stack.api.trigger_dag_run(DAG_ID)
        story = Story(stack.api, run_id)
        wait_for_success(stack.api, run_id, story.on_change, story.on_poll)
        prove(stack.api, run_id, cloud.state(), story.deferred_seconds)
    say(f"All processes have ended, after {time.monotonic() - begun:.0f} s.")


def prove(api: AirflowApi, run_id: str, cloud: Json, deferred_seconds: dict[str, float]) -> None:
    """
    Compare the times of the tasks in Airflow with the times of the backup in the cloud.

    :param api: the Airflow of the run.
    :param run_id: the run.
    :param cloud: everything that is in the cloud.
    :param deferred_seconds: for how long a task was deferred, for each task that was.
    :raises Failure: if the backup is missing, or the order is wrong.
    """
    if not deferred_seconds:
        raise Failure("no task was deferred, so the wait for the backup occupied a worker all the time.")
    if len(cloud["backups"]) != 1:
        raise Failure(f"there must be exactly one backup, not {cloud['backups']}.")
    (backup,) = cloud["backups"]
    (job,) = [job for job in cloud["jobs"] if job["jobId"] == backup["jobId"]]
    if (job["status"], backup["status"]) != ("SUCCESSFUL", "AVAILABLE"):
        raise Failure(f"the backup did not succeed: {job}, {backup}.")
    *_, ddl_task = api.task_ids(DAG_ID)
    waits = [task_id for task_id in api.task_ids(DAG_ID) if task_id in deferred_seconds]
    tasks = {task["task_id"]: task for task in api.task_instances(DAG_ID, run_id)}
    backup_end = datetime.fromisoformat(job["endTime"])
    wait_ends = {task_id: datetime.fromisoformat(tasks[task_id]["end_date"]) for task_id in waits}
    ddl_start = datetime.fromisoformat(tasks[ddl_task]["start_date"])

    say("\nThe proof:")
    say(f"  {backup_end.astimezone():%H:%M:%S}      {backup['backupName']} ended, according to Zilliz Cloud")
    for task_id, end in wait_ends.items():
        say(
            f"  {clock(end)}  {task_id} ended, according to Airflow, "
            f"after {deferred_seconds[task_id]:.0f} s in the triggerer"
        )
    say(f"  {clock(ddl_start)}  {ddl_task} began, according to Airflow")
    if ddl_start < max(backup_end, *wait_ends.values()):
        raise Failure(f"{ddl_task} began before the backup or the wait for it had ended.")
    seconds = max(ddl_start - backup_end - CLOUD_TIME_STEP, timedelta()).total_seconds()
    say(f"  => {ddl_task} began at least {seconds:.1f} s after the backup's end.\n")


def clock(when: datetime) -> str:
    """
    Return a moment as local time with milliseconds.

    :param when: an aware datetime.
    """
    return when.astimezone().strftime("%H:%M:%S.%f")[:-3]


if __name__ == "__main__":
    sys.exit(main())
