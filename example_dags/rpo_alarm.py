"""
Raise an alarm when a cluster has no backup that is young enough (RPO: how much you can afford to lose).

The check runs every hour and does not care who makes the backups: another DAG, a policy of Zilliz Cloud, or a
person. It fails at once if the newest usable backup is too old, and then the callback tells somebody.

To run it, define the connection ``zilliz_default`` (type "Zilliz Cloud", password: an API key). Give your own
cluster as the DAG's param; the default below is that of the emulator, which needs no account:
``python -m airflow_provider_zbackup.emulator``.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_zbackup.sensors.backup import ZillizBackupFreshnessSensor
from airflow_provider_zbackup.utils.errors import find_zilliz_error

log = logging.getLogger(__name__)


def raise_alarm(context: Any) -> None:
    """Stand in for your pager or chat."""
    error = find_zilliz_error(context["exception"])
    log.error("RPO ALARM for %s: %s", context["task"].cluster_id, error or context["exception"])


with DAG(
    dag_id="rpo_alarm",
    schedule="@hourly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["zilliz", "example"],
    doc_md=__doc__,
    params={"cluster_id": Param("in01-31a6b840e50b72d", type="string", description="A Dedicated cluster")},
) as dag:
    ZillizBackupFreshnessSensor(
        task_id="is_fresh",
        cluster_id="{{ params.cluster_id }}",
        max_age=timedelta(hours=26),
        timeout=0,  # look once
        on_failure_callback=raise_alarm,
    )
