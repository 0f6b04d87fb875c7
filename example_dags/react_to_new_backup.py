"""
React to each new backup, also to one that another DAG, a policy of Zilliz Cloud or a person has made.

A watcher in the triggerer looks for new backups every minute and starts this DAG. There is no sensor that
waits, and no schedule that comes too early or too late. Needs Airflow 3.0 or later.

To run it, define the connection ``zilliz_default`` (type "Zilliz Cloud", password: an API key), or use the
emulator, which needs no account: ``python -m airflow_provider_zbackup.emulator``.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_zbackup.triggers.events import ZillizBackupEventTrigger

new_backups = Asset(
    "new_zilliz_backups",
    # Filter by cluster_id, project_id, backup_type ("CLUSTER") or creation_method ("AUTO").
    watchers=[AssetWatcher(name="any_backup", trigger=ZillizBackupEventTrigger())],
)

with DAG(
    dag_id="react_to_new_backup",
    schedule=[new_backups],
    tags=["zilliz", "example"],
    doc_md=__doc__,
) as dag:

    @task
    def find_new(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        """Several events may start one run, and a backup may be in two of them."""
        events = triggering_asset_events[new_backups]
        payloads = [event.extra["payload"] for event in events]
        return list({payload["backup_id"]: payload for payload in payloads}.values())

    @task
    def report(backup: dict[str, Any]) -> str:
        """Stand in for your own work: register the backup, export it, tell somebody."""
        from airflow_provider_zbackup.hooks.zilliz import ZillizHook

        # The event says what the list of backups shows; this shows the collections too.
        shown = ZillizHook().describe_backup(backup["cluster_id"], backup["backup_id"])
        names = ", ".join(sorted(name for _, name in shown.contents or ()))
        text = f"Backup {backup['backup_id']} of {backup['cluster_name']} holds {names}"
        print(text)
        return text

    report.expand(backup=find_new())
