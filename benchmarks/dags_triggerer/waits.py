"""Task instances that the triggerer's benchmark puts into the deferred state; they never run."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, task


@task
def wait(number: int) -> None:
    """Stand for a task that waits for a job."""


with DAG("waits", schedule=None):
    wait.expand(number=list(range(1000)))
