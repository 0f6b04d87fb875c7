"""The API as a client sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
from pymilvus import MilvusClient

from airflow_provider_zbackup.emulator import seed

CLUSTER = seed.DEDICATED_CLUSTER_ID
PATIENCE = 60.0


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    limit = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < limit, what
        time.sleep(0.01)


def count(client: MilvusClient, name: str, **options: Any) -> int:
    """Return the number of rows of a loaded collection."""
    ((number,),) = (row.values() for row in client.query(name, output_fields=["count(*)"], **options))
    return int(number)


class Cloud:
    """Calls operations, and expects that they succeed."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def call(self, method: str, path: str, **body: Any) -> Any:
        answer = self.client.request(method, "/v2" + path, json=body or None).json()
        assert answer["code"] == 0, answer
        return answer["data"]

    def cluster(self, cluster_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/clusters/{cluster_id}")
        return found

    def address(self, cluster_id: str) -> str:
        return str(self.cluster(cluster_id)["connectAddress"])

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/jobs/{job_id}")
        return found

    def end_of(self, job_id: str) -> dict[str, Any]:
        """Wait until a job has ended, and return it."""
        wait_until(lambda: bool(self.job(job_id)["endTime"]), f"{job_id} does not end")
        return self.job(job_id)

    def start_backup(self, *collections: str) -> dict[str, Any]:
        """Start a backup of the cluster, or of collections."""
        body: dict[str, Any] = {"backupType": "CLUSTER"}
        if collections:
            entry = {"dbName": "default", "collectionNames": list(collections)}
            body = {"backupType": "COLLECTION", "dbCollections": [entry]}
        started: dict[str, Any] = self.call("POST", f"/clusters/{CLUSTER}/backups/create", **body)
        return started

    def back_up(self, *collections: str) -> str:
        """Make a backup, and return its id."""
        started = self.start_backup(*collections)
        assert self.end_of(started["jobId"])["status"] == "SUCCESSFUL"
        return str(started["backupId"])

    def start_restore(self, backup_id: str, *renames: tuple[str, str], status: str = "LOADED") -> str:
        """Start to restore collections under other names, or the whole backup, and return the job."""
        entries = [
            {
                "collections": [
                    {"collectionName": name, "destCollectionName": new, "destCollectionStatus": status}
                ]
            }
            for name, new in renames
        ]
        path = f"/clusters/{CLUSTER}/backups/{backup_id}/restoreCollection"
        return str(self.call("POST", path, destClusterId=CLUSTER, dbCollections=entries)["jobId"])

    def start_cluster_restore(self, backup_id: str, name: str = "restored", status: str = "KEEP") -> Any:
        """Start to restore a cluster."""
        path = f"/clusters/{CLUSTER}/backups/{backup_id}/restoreCluster"
        return self.call(
            "POST", path, projectId=seed.PROJECT_ID, clusterName=name, cuSize=1, collectionStatus=status
        )
