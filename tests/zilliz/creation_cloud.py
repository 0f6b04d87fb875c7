"""A cloud in which backups are created, answered by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from airflow_provider_zbackup.zilliz.errors import (
    ZillizConnectionError,
    ZillizError,
    ZillizNotFoundError,
    ZillizRefusedError,
)
from airflow_provider_zbackup.zilliz.flows.creation import CreateBackupSubmission, CreateRecord
from airflow_provider_zbackup.zilliz.flows.steps import Reply
from airflow_provider_zbackup.zilliz.flows.submission import submit_once
from airflow_provider_zbackup.zilliz.models import (
    BackedUpCollection,
    BackedUpDatabase,
    Backup,
    BackupCreation,
    BackupPage,
    Cluster,
)
from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest
from tests.zilliz.driver import CLUSTER, Driver, backup, page

WHOLE = CreateBackupRequest.of()
SOME = CreateBackupRequest.of(["a"])
MADE = BackupCreation(backup_id="new", backup_name="Name_backup1", job_id="job-1")
LOST = ZillizConnectionError("Lost.")
UNSENT = ZillizConnectionError("Unsent.", unprocessed=True)
CATCH_ALL = ZillizRefusedError("Failed to create backup.", code=96038, unprocessed=True)
RUNNING = backup("other", status="CREATING")


def cloud(
    create: Sequence[Any] = (),
    listed: Callable[[float], BackupPage | Reply[BackupPage]] = lambda elapsed: page(),
    described: Any = None,
    region: str = "",
    elsewhere: BackupPage | ZillizError | None = None,
) -> Driver:
    """
    Return a cloud.

    :param create: answers to the creates
    :param listed: the cluster's backups by the seconds since the start
    :param described: answer to every look at a backup; by default what is listed of it
    :param region: the cluster's region
    :param elsewhere: the backups of all clusters
    """
    creates = iter(create)
    shown: dict[str, Backup] = {}

    def answer(operation: Any) -> Any:
        match operation.name:
            case "create backup":
                return next(creates)
            case "describe backup" if described is not None:
                return described
            case "describe backup":
                backup_id = operation.path.rpartition("/")[2]
                return shown.get(backup_id, ZillizNotFoundError("Unknown.", unprocessed=True))
            case "describe cluster":
                return Cluster(cluster_id=CLUSTER, region_id=region)
            case "list backups" if "clusterId" in dict(operation.query):
                answer = listed(driver.elapsed)
                found = answer.value if isinstance(answer, Reply) else answer
                shown.update({backup.backup_id: backup for backup in found.backups})
                return answer
            case "list backups" if elsewhere is not None:
                return elsewhere
        raise AssertionError(f"No {operation.name} was expected.")

    driver = Driver(answer)
    return driver


def create(driver: Driver, request: CreateBackupRequest = WHOLE, **arguments: Any) -> CreateRecord:
    return driver.run(submit_once(CreateBackupSubmission(CLUSTER, request), **arguments))


def made_later(*backups: Backup, after: float = 0.0) -> Callable[[float], BackupPage]:
    """Return lists that show these backups once something can have been sent."""
    first = [True]

    def listed(elapsed: float) -> BackupPage:
        is_first, first[:] = bool(first), []
        return page() if is_first or elapsed < after else page(*backups)

    return listed


def some_backup(backup_id: str = "new", *collections: str, **facts: Any) -> Backup:
    held = tuple(BackedUpCollection(collection_name=name) for name in collections)
    databases = (BackedUpDatabase(collections=held),) if held else ()
    return backup(backup_id, backup_type="COLLECTION", db_collections=databases, **facts)
