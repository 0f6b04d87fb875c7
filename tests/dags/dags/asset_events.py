"""DAGs whose second task reads what the first one says about its outlets, for ``test_asset_events.py``."""

from __future__ import annotations

import json
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Asset, AssetAlias, task

from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator

FIXED = Asset(uri=f"zilliz://{DEDICATED_CLUSTER_ID}/default/quick_setup")
RENDERED = Asset(uri=f"zilliz://{DEDICATED_CLUSTER_ID}/default/medium_articles")


def dag(dag_id: str, *, deferrable: bool) -> DAG:
    with DAG(dag_id, schedule=None, render_template_as_native_obj=True) as made:

        @task(inlets=[FIXED, RENDERED])
        def read(*, inlet_events: Any) -> None:
            print("READ", json.dumps([inlet_events[asset][-1].extra for asset in (FIXED, RENDERED)]))

        backup = ZillizCreateBackupOperator(
            task_id="backup",
            cluster_id=DEDICATED_CLUSTER_ID,
            collections="{{ ['medium_articles'] }}",
            deferrable=deferrable,
            defer_after=0,
            outlets=[FIXED, AssetAlias("zilliz_backups")],
        )
        # Airflow gives it the events.
        backup >> read()  # type: ignore[call-arg]
    return made


waiting_in_the_worker = dag("events_from_the_worker", deferrable=False)
deferred = dag("events_after_a_deferral", deferrable=True)
