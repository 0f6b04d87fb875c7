"""A real Airflow and an emulated Zilliz Cloud, and what must be true of them after every scenario."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dev.airflow_stack import AirflowStack
from dev.database import Database
from dev.processes import wait_until
from tests.e2e.cloud import Cloud
from tests.e2e.task_run import PATIENCE, TaskRun

__all__ = ["PATIENCE", "SETTINGS", "World"]

SECOND_TRIGGERER = "triggerer-2"

# What makes Airflow notice within seconds what it notices within minutes by default.
SETTINGS = {
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "12",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
}


class World:
    """
    An Airflow, the Zilliz Cloud that it uses, and its database.

    :ivar stack: the Airflow.
    :ivar cloud: the Zilliz Cloud.
    :ivar database: the database of the Airflow.
    """

    def __init__(self, stack: AirflowStack, cloud: Cloud, database: Database) -> None:
        self.stack = stack
        self.cloud = cloud
        self.database = database
        self._runs: list[TaskRun] = []

    @contextmanager
    def scenario(self) -> Iterator[None]:
        """Begin with an empty cloud and a complete Airflow; end by making sure that no secret leaked."""
        self.cloud.reset()
        try:
            yield
            self.check_no_secret_leaked()
        finally:
            self._end_runs()
            self._restart_what_is_missing()

    def run(self, dag_id: str, task_id: str = "backup", conf: dict[str, Any] | None = None) -> TaskRun:
        """
        Start a run of a DAG.

        :param dag_id: the DAG.
        :param task_id: the task to follow.
        :param conf: the run's configuration.
        """
        task = TaskRun(self.stack, dag_id, self.stack.api.trigger_dag_run(dag_id, conf), task_id)
        self._runs.append(task)
        return task

    @contextmanager
    def second_triggerer(self) -> Iterator[None]:
        """Run one more triggerer."""
        alive = self.database.alive_triggerers()
        self.stack.start(SECOND_TRIGGERER)
        try:
            self.stack.wait_until(
                lambda: bool(self.database.alive_triggerers() - alive), "The second triggerer is alive"
            )
            yield
        finally:
            self.stack.stop(SECOND_TRIGGERER)

    def wait_for_requests(self, task: TaskRun, operation: str, count: int = 1) -> None:
        """
        Wait until a task has sent so many requests, answered or not.

        :param task: the task; the wait ends when it does.
        :param operation: such as ``create_backup``.
        :param count: how many requests.
        """

        def has_asked() -> bool:
            if len(self.cloud.requests(operation)) >= count:
                return True
            task.state()
            return False

        wait_until(has_asked, PATIENCE, f"{task} sends request number {count} for {operation}", pause=0.05)

    def check_delivered(self, task: TaskRun, *, adopted: bool = False) -> None:
        """
        Wait for the success of a task, and make sure that it has returned the one backup there is.

        :param task: the task.
        :param adopted: whether the backup must have been found in the list, its create having got no answer.
        """
        result = task.result()
        backup = self.cloud.the_only_backup()
        assert result == {
            "cluster_id": backup["clusterId"],
            "backup_id": backup["backupId"],
            "backup_name": backup["backupName"],
            "backup_type": "CLUSTER",
            "job_id": None if adopted else backup["jobId"],
            "status": "AVAILABLE",
            "size": backup["size"],
            "region_id": backup["regionId"],
            "create_time": backup["createTime"],
            "adopted": adopted,
        }
        # The same search that must not find a secret does find what is no secret.
        assert {"task_state_store", "xcom"} <= set(self.database.tables_with(backup["backupId"]))

    def check_no_secret_leaked(self) -> None:
        """Make sure that the API key is in no log and in no table."""
        secret = self.cloud.api_key
        assert self.database.tables_with(secret) == [], "The API key is in these tables"
        logs = [
            path
            for path in self.stack.home.parent.rglob("*.log")
            if secret in path.read_text(errors="replace")
        ]
        assert logs == [], "The API key is in these logs"

    def _end_runs(self) -> None:
        """End what a failed scenario has left running."""
        while self._runs:
            run = self._runs.pop()
            if self.stack.api.dag_run(run.dag_id, run.run_id)["state"] not in ("success", "failed"):
                self.stack.api.set_dag_run_state(run.dag_id, run.run_id, "failed")

    def _restart_what_is_missing(self) -> None:
        for name in self.stack.components:
            if not self.stack.is_running(name):
                self.stack.start(name)
