"""Runs an example DAG in a real Airflow with an emulated Zilliz Cloud."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.airflow_api import AirflowApi, Json
from dev.airflow_stack import AirflowStack
from dev.emulated_cloud import EmulatedCloud
from dev.terminal import Failure

#: The main example.
DAG_ID = "backup_before_migration"
FOLDER = Path(__file__).resolve().parent.parent / "example_dags"
PROVIDER = "airflow_provider_zbackup"

JOB_SECONDS = 20.0
# Long, because a slow machine is no error.
RUN_SECONDS = 300.0
# Per GB of backups and month.
PRICE = 0.025
LAST_LOG_ENTRIES = 10


@contextmanager
def example_airflow(
    dag_id: str = DAG_ID,
    *,
    job_seconds: float = JOB_SECONDS,
    history: bool = False,
    real_vectors: bool = False,
) -> Iterator[tuple[EmulatedCloud, AirflowStack]]:
    """
    Start an emulated cloud and an Airflow that is connected to it.

    :param dag_id: the example that is to run.
    :param job_seconds: how long backups and restores take.
    :param history: the cloud has 30 days of backups, and the connection a price for them.
    :param real_vectors: each cluster is a Milvus Lite.
    """
    extra = {"price_per_gb_month": PRICE} if history else None
    with (
        EmulatedCloud(
            job_seconds=job_seconds, history=history, real_vectors=real_vectors, extra=extra
        ) as cloud,
        AirflowStack(FOLDER, dag_ids=[dag_id], environment=cloud.environment) as stack,
    ):
        yield cloud, stack


def wait_for_end(
    api: AirflowApi,
    dag_id: str,
    run_id: str,
    on_change: Callable[[Json], None],
    on_poll: Callable[[], None],
    expected: str = "success",
) -> None:
    """
    Wait until a run has ended.

    :param api: the Airflow of the run.
    :param dag_id: its DAG.
    :param run_id: the run.
    :param on_change: called with each task instance whose state or try has changed.
    :param on_poll: called after each poll.
    :param expected: the state in which the run should end.
    :raises Failure: if it ends in another state; the message contains the ends of the logs.
    """
    run = api.wait_for_dag_run(dag_id, run_id, RUN_SECONDS, on_change, on_poll)
    if run["state"] == expected:
        return
    lines = [f"the run ended as {run['state']}."]
    for task in api.task_instances(dag_id, run_id):
        if task["state"] == "failed":
            log = api.task_log_entries(dag_id, run_id, task["task_id"], task["try_number"], task["map_index"])
            lines.append(f"The end of the log of {task['task_id']}:")
            lines += [f"    {entry['event']} {_errors(entry)}" for entry in log[-LAST_LOG_ENTRIES:]]
    raise Failure("\n".join(lines))


def provider_log(api: AirflowApi, dag_id: str, run_id: str, task_id: str, try_number: int) -> list[Json]:
    """
    Return what the provider has logged in a try of a task.

    :param api: the Airflow of the run.
    :param dag_id: its DAG.
    :param run_id: the run.
    :param task_id: the task.
    :param try_number: the try, from 1.
    """
    entries = api.task_log_entries(dag_id, run_id, task_id, try_number)
    return [entry for entry in entries if PROVIDER in (entry.get("logger") or "")]


def _errors(entry: Json) -> str:
    return " <- ".join(
        f"{error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or []
    )
