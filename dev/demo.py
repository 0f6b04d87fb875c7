"""
``make demo``: a migration with a mistake, in a real Airflow against the emulated Zilliz Cloud.

It is shown as it happens, then proved. Exit code 0 means: the backup was waited for in the triggerer, the
migration began after the backup's end and damaged the collection,
and what was restored is what was there before.

``make demo-data`` does the same with real vectors, and looks at them with pymilvus.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_zbackup.emulator.data_plane.sample import embed
from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.zilliz.client import ZillizClient
from airflow_provider_zbackup.zilliz.data_operations import CollectionAddress, call, count_rows
from airflow_provider_zbackup.zilliz.flows.collections import Loader, Manifest, open_data_plane, take_manifest
from airflow_provider_zbackup.zilliz.flows.verification import Pair, Scope, verify_with_manifest
from airflow_provider_zbackup.zilliz.settings import ClientSettings
from dev.airflow_api import AirflowApi, Json
from dev.emulated_cloud import EmulatedCloud
from dev.example import example_airflow, wait_for_end
from dev.story import Story
from dev.terminal import Failure, run_command, say

DAG_ID = "guarded_migration"
COLLECTION = "medium_articles"
SEARCHED = "Database backups in production"
JOB_SECONDS = 9.0
#: So many rows are compared, at most: all of the sample.
SAMPLE_ROWS = 1000
# The API, real or emulated, rounds times down to whole seconds.
CLOUD_TIME_STEP = timedelta(seconds=1)


def main() -> int:
    """Run the demo and return the exit code."""
    return run_command(lambda: demonstrate(real_vectors="--data" in sys.argv[1:]))


def demonstrate(real_vectors: bool = False) -> None:
    """
    Run the DAG and prove that nothing was lost.

    :param real_vectors: each cluster is a Milvus Lite.
    """
    begun = time.monotonic()
    say("Starting an emulated Zilliz Cloud and a real Airflow (10 to 20 seconds) ...")
    with example_airflow(DAG_ID, job_seconds=JOB_SECONDS, real_vectors=real_vectors) as (cloud, stack):
        say(f"Airflow: {stack.base_url}   Zilliz Cloud console: {cloud.base_url}\n")
        with (MilvusData if real_vectors else Data)(cloud) as data:
            before = data.show(COLLECTION)
            manifest = data.manifest()
            run_id = stack.api.trigger_dag_run(DAG_ID, {"fail": True})
            story = Story(stack.api, DAG_ID, run_id)
            wait_for_end(stack.api, DAG_ID, run_id, story.on_change, story.on_poll, expected="failed")
            prove_order(stack.api, run_id, cloud.state(), story.deferred_seconds)
            prove_data(data, before, manifest, cloud.state())
    say(f"All processes have ended, after {time.monotonic() - begun:.0f} s.")


class Data:
    """
    The data of the cluster, as its REST API shows it.

    :param cloud: the emulated cloud.
    """

    def __init__(self, cloud: EmulatedCloud) -> None:
        self._api_key = cloud.api_key
        self._client = ZillizClient(ClientSettings(cloud.api_key, cloud.base_url))

    def __enter__(self) -> Data:
        self._address = self._client.run(open_data_plane(DEDICATED_CLUSTER_ID))
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def show(self, collection: str) -> tuple[int, str]:
        """
        Return the number of rows, and the nearest article to a text.

        :param collection: its name.
        """
        rows = self._client.send(count_rows(CollectionAddress(self._address, None, collection))).value.rows
        search = {
            "collectionName": collection,
            "data": [embed(SEARCHED)],
            "outputFields": ["title"],
            "limit": 1,
        }
        (nearest,) = self._client.send(call(self._address, "entities/search", search)).value
        return rows, nearest["title"]

    def manifest(self) -> Manifest:
        """Return what the collection is now."""
        return self._client.run(take_manifest(DEDICATED_CLUSTER_ID, [COLLECTION], sample_rows=SAMPLE_ROWS))

    def compare(self, manifest: Manifest, collection: str) -> dict[str, Any]:
        """
        Return what differs between a collection and what it should be.

        :param manifest: what it should be.
        :param collection: its name.
        """
        scope = Scope([Pair((None, COLLECTION), (None, collection))])
        return self._client.run(
            verify_with_manifest(DEDICATED_CLUSTER_ID, manifest, scope, Loader()), note=lambda line: None
        )


class MilvusData(Data):
    """The same data, as pymilvus shows it."""

    def show(self, collection: str) -> tuple[int, str]:
        from pymilvus import MilvusClient

        client = MilvusClient(self._address, token=self._api_key)
        ((rows,),) = (row.values() for row in client.query(collection, output_fields=["count(*)"]))
        ((nearest,),) = client.search(collection, [embed(SEARCHED)], limit=1, output_fields=["title"])
        client.close()
        return rows, nearest["entity"]["title"]


def prove_data(data: Data, before: tuple[int, str], manifest: Manifest, cloud: Json) -> None:
    """
    Show the collection before, after the mistake, and restored.

    :param data: the data of the cluster.
    :param before: what it was before.
    :param manifest: the same, in full.
    :param cloud: everything that is in the cloud.
    :raises Failure: if the migration damaged nothing, or what was restored differs.
    """
    (backup,) = cloud["backups"]
    restored = f"{COLLECTION}_{backup['backupId']}"
    seen = {
        "before the migration": before,
        "after the migration": data.show(COLLECTION),
        "restored beside it": data.show(restored),
    }
    say(f"The data, according to the cluster, and what a search for {SEARCHED!r} finds:")
    for moment, (rows, nearest) in seen.items():
        say(f"  {moment:22}{rows:4} rows  {nearest!r}")
    if seen["after the migration"] == before:
        raise Failure("the migration has damaged nothing.")
    proof = data.compare(manifest, restored)
    if proof["differences"] or seen["restored beside it"] != before:
        raise Failure(f"what was restored differs: {proof['differences']}.")
    say(f"  => nothing differs: {proof['sampled_rows']} of {proof['rows']} rows were compared in full.\n")


def prove_order(api: AirflowApi, run_id: str, cloud: Json, deferred_seconds: dict[str, float]) -> None:
    """
    Compare the times of the tasks in Airflow with the times of the backup in the cloud.

    :param api: the Airflow of the run.
    :param run_id: the run.
    :param cloud: everything that is in the cloud.
    :param deferred_seconds: for how long a task was deferred, for each task that was.
    :raises Failure: if the backup is missing, or the order is wrong.
    """
    backup_task = "backup_before.backup"
    if backup_task not in deferred_seconds:
        raise Failure("the backup was not deferred, so the wait for it occupied a worker all the time.")
    if len(cloud["backups"]) != 1:
        raise Failure(f"there must be exactly one backup, not {cloud['backups']}.")
    (backup,) = cloud["backups"]
    (job,) = [job for job in cloud["jobs"] if job["jobId"] == backup["jobId"]]
    if (job["status"], backup["status"]) != ("SUCCESSFUL", "AVAILABLE"):
        raise Failure(f"the backup did not succeed: {job}, {backup}.")
    tasks = {task["task_id"]: task for task in api.task_instances(DAG_ID, run_id)}
    backup_end = datetime.fromisoformat(job["endTime"])
    wait_end = datetime.fromisoformat(tasks[backup_task]["end_date"])
    migration_start = datetime.fromisoformat(tasks["migrate"]["start_date"])

    say("\nThe order:")
    say(f"  {backup_end.astimezone():%H:%M:%S}      {backup['backupName']} ended, according to Zilliz Cloud")
    say(
        f"  {clock(wait_end)}  {backup_task} ended, according to Airflow, "
        f"after {deferred_seconds[backup_task]:.0f} s in the triggerer"
    )
    say(f"  {clock(migration_start)}  migrate began, according to Airflow")
    if migration_start < max(backup_end, wait_end):
        raise Failure("the migration began before the backup or the wait for it had ended.")
    seconds = max(migration_start - backup_end - CLOUD_TIME_STEP, timedelta()).total_seconds()
    say(f"  => the migration began at least {seconds:.1f} s after the backup's end.\n")


def clock(when: datetime) -> str:
    """
    Return a moment as local time with milliseconds.

    :param when: an aware datetime.
    """
    return when.astimezone().strftime("%H:%M:%S.%f")[:-3]


if __name__ == "__main__":
    sys.exit(main())
