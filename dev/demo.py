"""
``make demo``: a backup in a real Airflow against the emulated Zilliz Cloud, told as it happens, then proved.

Exit code 0 means: the DDL task began after the backup's end, and no worker was held while the backup ran.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dev.airflow_api import AirflowApi, AirflowApiError, Json
from dev.airflow_stack import AirflowStack
from dev.emulated_cloud import EmulatedCloud
from dev.processes import ProcessError

EXAMPLES = Path(__file__).resolve().parent.parent / "example_dags"
DAG_ID = "backup_before_migration"
PROVIDER = "airflow_provider_zbackup"

JOB_SECONDS = 20.0
RUN_SECONDS = 120.0
# The emulated API, like the real one, tells times in whole seconds, rounded down.
CLOUD_TIME_STEP = timedelta(seconds=1)

COLOURS = {"running": "36", "deferred": "35", "success": "32", "failed": "31", "up_for_retry": "33"}
REMARKS = {"deferred": "(the triggerer waits, no worker is held)"}


class DemoFailure(Exception):
    """Something is not as it must be."""


class Story:
    """
    Tells what happens in a run: each change of a task's state, and what the provider logs.

    :param api: the Airflow where it happens.
    :param dag_id: the DAG.
    :param run_id: the run.
    :ivar deferred: the tasks that were seen in state ``deferred``.
    """

    def __init__(self, api: AirflowApi, dag_id: str, run_id: str) -> None:
        self._api = api
        self._dag_id = dag_id
        self._run_id = run_id
        self._width = max(len(task_id) for task_id in api.task_ids(dag_id))
        self._tries: dict[str, int] = {}
        self._told: set[tuple[str, str, str]] = set()
        self.deferred: set[str] = set()

    def on_change(self, task_instance: Json) -> None:
        """
        Tell a new state.

        :param task_instance: as the API shows it.
        """
        task_id, state = task_instance["task_id"], task_instance["state"]
        if state == "deferred":
            self.deferred.add(task_id)
        if task_instance["start_date"]:
            self._tries[task_id] = task_instance["try_number"]
            if state != "running":
                # What was logged before a task deferred or ended is told before that.
                self._tell_log(task_id)
        if state:
            painted = paint(f"{state:9}", COLOURS.get(state, ""))
            self._tell(datetime.now(UTC), task_id, f"{painted} {REMARKS.get(state, '')}".rstrip())

    def on_turn(self) -> None:
        """Tell what has been logged since the last time."""
        for task_id in self._tries:
            self._tell_log(task_id)

    def _tell_log(self, task_id: str) -> None:
        for entry in self._api.task_log_entries(self._dag_id, self._run_id, task_id, self._tries[task_id]):
            if PROVIDER not in entry.get("logger", ""):
                continue
            key = task_id, entry["timestamp"], entry["event"]
            if key not in self._told:
                self._told.add(key)
                self._tell(datetime.fromisoformat(entry["timestamp"]), task_id, f"  | {entry['event']}")

    def _tell(self, when: datetime, task_id: str, what: str) -> None:
        say(f"{when.astimezone():%H:%M:%S}  {task_id:{self._width}}  {what}")


def main() -> int:
    """Run the demo; the exit code tells whether everything was as it must be."""
    parser = argparse.ArgumentParser(prog="python -m dev.demo", description=__doc__)
    parser.add_argument("--keep-open", action="store_true", help="leave Airflow and its UI open until Ctrl-C")
    options = parser.parse_args()
    begun = time.monotonic()
    try:
        demonstrate(keep_open=options.keep_open)
    except (DemoFailure, ProcessError, AirflowApiError, TimeoutError) as error:
        say(f"\n{paint('The demo has failed:', '31')} {error}")
        return 1
    except KeyboardInterrupt:
        say("\nStopped.")
        return 130
    say(f"All processes have ended. The demo took {time.monotonic() - begun:.0f} s.")
    return 0


def demonstrate(*, keep_open: bool) -> None:
    """
    Run the DAG and prove what happened.

    :param keep_open: leave everything running afterwards, until Ctrl-C.
    """
    say("Starting an emulated Zilliz Cloud and a real Airflow (10 to 20 seconds) ...")
    cloud = EmulatedCloud(job_seconds=JOB_SECONDS)
    with cloud:
        stack = AirflowStack(EXAMPLES, dag_ids=[DAG_ID], environment=cloud.environment)
        with stack:
            say(f"Airflow: {stack.base_url}   Zilliz Cloud console: {cloud.base_url}\n")
            run_id = stack.api.trigger_dag_run(DAG_ID)
            story = Story(stack.api, DAG_ID, run_id)
            run = stack.api.wait_for_dag_run(DAG_ID, run_id, RUN_SECONDS, story.on_change, story.on_turn, 0.5)
            if run["state"] != "success":
                raise DemoFailure(f"the run ended as {run['state']}.\n{failures(stack.api, DAG_ID, run_id)}")
            prove(stack.api, cloud.state(), run_id, story.deferred)
            if keep_open:
                wait_for_ctrl_c(stack, f"{stack.base_url}/dags/{DAG_ID}/runs/{run_id}")
    if left := stack.survivors() | cloud.survivors():
        raise DemoFailure(f"processes are still running: {sorted(left)}")


def prove(api: AirflowApi, cloud: Json, run_id: str, deferred: set[str]) -> None:
    """
    Compare what Airflow says of the tasks with what the cloud says of the backup.

    :param api: the Airflow of the run.
    :param cloud: the state of the cloud.
    :param run_id: the run.
    :param deferred: the tasks that were seen in state ``deferred``.
    """
    *_, ddl_task = api.task_ids(DAG_ID)
    if not deferred:
        raise DemoFailure("no task was ever deferred, so a worker was held during the backup")
    if len(cloud["backups"]) != 1:
        raise DemoFailure(f"there is not one backup but: {cloud['backups']}")
    (backup,) = cloud["backups"]
    (job,) = [job for job in cloud["jobs"] if job["jobId"] == backup["jobId"]]
    if (job["status"], backup["status"]) != ("SUCCESSFUL", "AVAILABLE"):
        raise DemoFailure(f"the backup has not been made: {job}, {backup}")
    backup_end = datetime.fromisoformat(job["endTime"])
    times = {task["task_id"]: task for task in api.task_instances(DAG_ID, run_id)}
    wait_end = max(datetime.fromisoformat(times[task_id]["end_date"]) for task_id in deferred)
    ddl_start = datetime.fromisoformat(times[ddl_task]["start_date"])
    rows = [
        (f"{backup['backupName']} finished, says Zilliz Cloud", f"{backup_end.astimezone():%H:%M:%S}"),
        (f"{', '.join(sorted(deferred))} ended, says Airflow", clock(wait_end)),
        (f"{ddl_task} began, says Airflow", clock(ddl_start)),
    ]
    width = max(len(text) for text, _ in rows)
    say("\nThe proof:")
    for text, when in rows:
        say(f"  {text:{width}}  {when}")
    if ddl_start < max(backup_end, wait_end):
        raise DemoFailure(f"{ddl_task} began before the end of the backup, or of the wait for it")
    seconds = max(ddl_start - backup_end - CLOUD_TIME_STEP, timedelta()).total_seconds()
    say(
        f"  => {ddl_task} began at least {seconds:.1f} s after the backup's end, and no worker had to wait.\n"
    )


def failures(api: AirflowApi, dag_id: str, run_id: str) -> str:
    """
    Return the ends of the logs of all failed tasks.

    :param api: the Airflow of the run.
    :param dag_id: the DAG.
    :param run_id: the run.
    """
    lines = []
    for task in api.task_instances(dag_id, run_id):
        if task["state"] == "failed":
            log = api.task_log_entries(dag_id, run_id, task["task_id"], task["try_number"], task["map_index"])
            lines += [
                f"{task['task_id']}:",
                *(f"  {entry['event']} {entry.get('error_detail', '')}" for entry in log[-10:]),
            ]
    return "\n".join(lines)


def wait_for_ctrl_c(stack: AirflowStack, url: str) -> None:
    """
    Wait until the user has seen enough.

    :param stack: the Airflow to look at.
    :param url: where to look first.
    """
    say(f"Look around: {url}\nCtrl-C ends it.")
    try:
        while True:
            stack.check()
            time.sleep(1)
    except KeyboardInterrupt:
        say("\nStopping ...")


def clock(when: datetime) -> str:
    """
    Return a moment as local time with milliseconds.

    :param when: an aware datetime.
    """
    return when.astimezone().strftime("%H:%M:%S.%f")[:-3]


def paint(text: str, colour: str) -> str:
    """
    Colour a text, if the output is a terminal.

    :param text: the text.
    :param colour: code of the colour; empty for none.
    """
    return f"\033[{colour}m{text}\033[0m" if colour and sys.stdout.isatty() else text


def say(line: str) -> None:
    """
    Print at once, even into a pipe.

    :param line: what to print.
    """
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
