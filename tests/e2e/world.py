"""A real Airflow with an emulated Zilliz Cloud, and what must be true after every scenario."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dev.airflow_stack import AirflowStack
from dev.database import Database
from dev.processes import wait_until
from tests.e2e.cloud import Cloud
from tests.e2e.task_run import WAIT_SECONDS, TaskRun

SECOND_TRIGGERER = "triggerer-2"

# With these, Airflow notices the end of a component within seconds; the defaults take minutes.
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
        """Begin with an empty cloud; at the end check that no secret leaked, and repair the Airflow."""
        self.cloud.reset()
        try:
            yield
            self.check_no_secret_leaked()
        finally:
            self._end_runs()
            self._restart_ended_components()

    def run(self, dag_id: str, task_id: str = "backup", conf: dict[str, Any] | None = None) -> TaskRun:
        """
        Start a run of a DAG.

        :param dag_id: the DAG.
        :param task_id: the task to return.
        :param conf: the run's configuration.
        """
        task = TaskRun(self.stack, dag_id, self.stack.api.trigger_dag_run(dag_id, conf), task_id)
        self._runs.append(task)
        return task

    @contextmanager
    def second_triggerer(self) -> Iterator[None]:
        """Run a second triggerer for the time of a ``with`` block."""
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
        Wait until a task has sent a number of requests, answered or not.

        :param task: the task, which must not end before that.
        :param operation: such as ``create_backup``.
        :param count: the number of requests.
        """

        def has_sent() -> bool:
            if len(self.cloud.requests(operation)) >= count:
                return True
            # This raises if the task has ended.
            task.state()
            return False

        wait_until(has_sent, WAIT_SECONDS, f"{task} sends request number {count} for {operation}", pause=0.05)

    def check_result(self, task: TaskRun, *, adopted: bool = False) -> None:
        """
        Wait until a task succeeds, and check that its result is the only backup in the cloud.

        :param task: the task.
        :param adopted: whether the create got no answer, so that the task must find the backup in the list.
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
        # This proves that check_no_secret_leaked() would find a secret, since its search finds this id.
        assert {"task_state_store", "xcom"} <= set(self.database.tables_with(backup["backupId"]))

    def check_no_secret_leaked(self) -> None:
        """Check that no log and no table contains the API key."""
        secret = self.cloud.api_key
        assert self.database.tables_with(secret) == [], "The API key is in these tables"
        logs = [
            path
            for path in self.stack.home.parent.rglob("*.log")
            if secret in path.read_text(errors="replace")
        ]
        assert logs == [], "The API key is in these logs"

    def _end_runs(self) -> None:
        """End the runs that a failed scenario has left."""
        while self._runs:
            run = self._runs.pop()
            if self.stack.api.dag_run(run.dag_id, run.run_id)["state"] not in ("success", "failed"):
                self.stack.api.set_dag_run_state(run.dag_id, run.run_id, "failed")

    def _restart_ended_components(self) -> None:
        for name in self.stack.components:
            if not self.stack.is_running(name):
                self.stack.start(name)
