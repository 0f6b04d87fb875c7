"""Tasks that never run: the benchmark of the triggerer writes their deferred state into the database."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task


@task
def wait(number: int) -> None:
    """Represent a task that waits for a job."""


with DAG("waits", schedule=None):
    wait.expand(number=list(range(1000)))
