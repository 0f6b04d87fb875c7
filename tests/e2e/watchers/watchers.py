"""
Two DAGs whose watchers share a poll: the example ``react_to_new_backup``, and one for automatic backups.

The watchers look every second, because a test waits for them.
"""

from __future__ import annotations

from typing import Any, cast

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_zbackup.triggers.events import ZillizBackupEventTrigger

cast("Any", ZillizBackupEventTrigger.__init__).__kwdefaults__["poll_interval"] = 1.0

from example_dags.react_to_new_backup import dag as any_backup  # noqa: E402, F401

trigger = ZillizBackupEventTrigger(creation_method="AUTO")
automatic = Asset("automatic_backups", watchers=[AssetWatcher(name="automatic", trigger=trigger)])

with DAG("automatic_backups", schedule=[automatic]):

    @task
    def react() -> None:
        print("An automatic backup is there.")

    react()
