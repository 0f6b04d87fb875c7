"""DAGs with guards, for ``test_guard.py``. They run in a process of their own."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG, TaskGroup, task, task_group

from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID, SECOND_DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.task_groups import backup_before

GUARD: dict[str, Any] = {"cluster_id": DEDICATED_CLUSTER_ID, "settle_time": 0}
ONE = GUARD | {"collections": ["quick_setup"]}


@task
def work() -> str:
    return "done"


@task
def fail() -> None:
    raise RuntimeError("half done")


@task
def after() -> None:
    pass


def dag(dag_id: str) -> DAG:
    """Make a DAG, and a variable for it, by which the test finds it."""
    made = globals()[f"{dag_id}_dag"] = DAG(dag_id, schedule=None)
    return made


with dag("well"):
    with backup_before(**ONE) as guard:
        work()
    guard >> after()

with dag("fails"):
    with backup_before(**ONE) as guard:
        fail.override(task_id="first")() >> work.override(task_id="second")()
        work.override(task_id="beside")()
    guard >> after()

with dag("fails_whole_cluster"), backup_before(**GUARD, deferrable=True):
    fail()

with dag("fails_into_cluster"), backup_before(**GUARD, restore_on_failure="cluster"):
    fail()

with dag("fails_without_restore"), backup_before(**ONE, restore_on_failure=False):
    fail()

with dag("fails_at_first"), backup_before(**ONE):

    @task(retries=1, retry_delay=0)
    def shaky(ti=None) -> None:  # type: ignore[no-untyped-def]
        if ti.try_number == 1:
            raise RuntimeError("not yet")

    shaky()

with dag("outside_fails"):
    before = fail.override(task_id="before")()
    with backup_before(**ONE):
        work() << before

with dag("one_index_fails"), backup_before(**ONE):

    @task
    def each(number: int) -> None:
        if number == 1:
            raise RuntimeError("half done")

    each.expand(number=[0, 1, 2])

with dag("guard_per_index"):

    @task_group
    def migrate(cluster_id: str) -> None:
        with backup_before(cluster_id=cluster_id, settle_time=0):

            @task
            def one(cluster: str) -> None:
                if cluster == SECOND_DEDICATED_CLUSTER_ID:
                    raise RuntimeError("half done")

            one(cluster_id)

    migrate.expand(cluster_id=[DEDICATED_CLUSTER_ID, SECOND_DEDICATED_CLUSTER_ID])

with dag("scratch_inside"), backup_before(**ONE):
    scratch = work.override(task_id="make_scratch")().as_setup()
    remove = work.override(task_id="remove_scratch")().as_teardown(setups=scratch)  # type: ignore[arg-type]
    scratch >> fail() >> remove

with dag("groups_around_and_inside"), TaskGroup("outer"), backup_before(**ONE) as guard, TaskGroup("inner"):
    work()

with dag("branch"), backup_before(**ONE):

    @task.short_circuit
    def go_on() -> bool:
        return False

    go_on() >> work()
