"""DAGs with a guard around a migration that fails, or goes on until somebody ends it."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_zbackup.emulator.formats import iso_time
from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.task_groups import backup_before


@task
def migrate(ti: Any = None, params: dict[str, Any] | None = None) -> None:
    """
    Fail in the first ``failures`` tries.

    With ``alive``, the path of a file, the first try goes on until it is killed, and writes the time there.
    """
    conf = params or {}
    if "alive" in conf and ti.try_number == 1:
        while True:
            Path(conf["alive"]).write_text(iso_time(time.time()))
            time.sleep(0.1)
    if ti.try_number <= conf.get("failures", 0):
        raise RuntimeError("half migrated")


@task
def check() -> None:
    """Represent what comes after the migration."""


def guarded(dag_id: str, *, settle_time: float = 0, **options: Any) -> None:
    with (
        DAG(dag_id, schedule=None, **options),
        backup_before(cluster_id=DEDICATED_CLUSTER_ID, collections=["quick_setup"], settle_time=settle_time),
    ):
        migrate() >> check()


guarded("guarded")
guarded("guarded_settling", settle_time=12)
guarded("guarded_fail_fast", fail_fast=True)
guarded("guarded_with_timeout", dagrun_timeout=timedelta(seconds=45))
