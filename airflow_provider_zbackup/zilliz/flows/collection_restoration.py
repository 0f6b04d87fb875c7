"""Restoring collections of a backup into a cluster that is running: one call for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_zbackup.zilliz.errors import ZillizBadRequestError, ZillizError
from airflow_provider_zbackup.zilliz.flows.started_jobs import JobRecord, JobSubmission
from airflow_provider_zbackup.zilliz.flows.steps import Flow, look_up_backup, retrying
from airflow_provider_zbackup.zilliz.models import Backup, Contents, StartedJob, is_default_database
from airflow_provider_zbackup.zilliz.operations import Operation, describe_cluster, restore_collections
from airflow_provider_zbackup.zilliz.requests import RestoreCollectionsRequest, RestoreTarget


def list_targets(
    names: Mapping[str, str] | Sequence[str],
    *,
    suffix: str = "",
    database: str | None = None,
    destination_database: str | None = None,
) -> list[RestoreTarget]:
    """
    Return where each of the named collections is restored to.

    :param names: the collections, or their new names by the old ones
    :param suffix: what is added to each name, if there are no new names
    :param database: database of the collections; ``None`` means the default one
    :param destination_database: database to restore into; ``None`` means the same
    """
    renamed = names if isinstance(names, Mapping) else {name: name + suffix for name in names}
    destination = database if destination_database is None else destination_database
    return [RestoreTarget(database, name, destination, new_name) for name, new_name in renamed.items()]


def _as_they_are(backup: Backup) -> list[RestoreTarget]:
    """Return the collections that a backup shows, each restored under its name."""
    return [
        RestoreTarget(database, name, database, name)
        for database, name in sorted(backup.contents or (), key=str)
    ]


def list_all_targets(
    cluster_id: str,
    backup_id: str,
    *,
    suffix: str = "",
    database: str | None = None,
    destination_database: str | None = None,
) -> Flow[list[RestoreTarget]]:
    """
    Return where each collection of a backup, or of one of its databases, is restored to.

    :raises ZillizBadRequestError: when the backup shows no such collections
    """
    backup = (yield from look_up_backup(cluster_id, backup_id)).value
    targets = [
        RestoreTarget(
            held.database,
            held.name,
            held.database if destination_database is None else destination_database,
            held.name + suffix,
        )
        for held in _as_they_are(backup)
        if database is None or (held.database or "default") == (database or "default")
    ]
    if not targets:
        where = f" of database {database}" if database else ""
        raise ZillizBadRequestError(
            f"Backup {backup_id} of cluster {cluster_id} shows no collections{where}. Name them.",
            unprocessed=True,
        )
    _check_unique(targets)
    return targets


class RestoreCollectionsRecord(JobRecord):
    """
    What is saved of such a restore.

    :param targets: what is restored; empty if all is, and the backup does not show what that is
    """

    targets: tuple[RestoreTarget, ...]


class RestoreCollectionsSubmission(JobSubmission[RestoreCollectionsRecord]):
    """
    Restores one collection of a backup, or all of them as they are.

    :param destination_cluster_id: the cluster to restore into
    :param target: the collection, and where it is restored to; ``None`` means all
    :param siblings: all collections that the task restores: none is restored if the backup lacks one
    """

    noun = "restore"
    kind = "restore_collections"
    record_type = RestoreCollectionsRecord

    def __init__(
        self,
        cluster_id: str,
        backup_id: str,
        destination_cluster_id: str,
        target: RestoreTarget | None = None,
        *,
        load: bool = False,
        siblings: Sequence[RestoreTarget] = (),
    ) -> None:
        super().__init__(cluster_id, backup_id)
        self.destination_cluster_id = destination_cluster_id
        self.target = target
        self.load = load
        self.siblings = siblings

    def describe(self, record: RestoreCollectionsRecord) -> str:
        what = "All collections" if self.target is None else f"Collection {self.target.restored_as}"
        return (
            f"{what} in cluster {self.destination_cluster_id} from backup {self.backup_id} of cluster "
            f"{self.cluster_id}"
        )

    def identity(self) -> dict[str, Any]:
        return {
            "cluster_id": self.cluster_id,
            "backup_id": self.backup_id,
            "request": self._request().body(),
        }

    def check(self, backup: Backup) -> Flow[dict[str, Any]]:
        missing = _missing(self.siblings, backup.contents)
        if missing:
            raise ZillizBadRequestError(
                f"Backup {self.backup_id} does not hold {', '.join(missing)}. It holds "
                f"{', '.join(sorted(_full_name(*held) for held in backup.contents or ()))}.",
                unprocessed=True,
            )
        destination = (yield from retrying(describe_cluster(self.destination_cluster_id))).value
        if not destination.is_running:
            raise ZillizBadRequestError(
                f"Cluster {self.destination_cluster_id} is {destination.status or 'in no known state'}, not "
                "RUNNING.",
                unprocessed=True,
            )
        return {"targets": [self.target] if self.target else _as_they_are(backup)}

    def explain(
        self, record: RestoreCollectionsRecord, refusal: ZillizError, *, is_conflict: bool
    ) -> Flow[None]:
        yield from super().explain(record, refusal, is_conflict=is_conflict)
        name = self.target.restored_as if self.target else "the name of a collection"
        raise refusal.with_advice(
            f"If {name} is taken, give another name, such as by suffix='_restored', or drop it first"
        ) from refusal

    def operation(self, record: RestoreCollectionsRecord) -> Operation[StartedJob]:
        return restore_collections(self.cluster_id, self.backup_id, self._request())

    def _request(self) -> RestoreCollectionsRequest:
        return RestoreCollectionsRequest.of(self.destination_cluster_id, self.target, load=self.load)


def _check_unique(targets: Sequence[RestoreTarget]) -> None:
    if len({target[2:] for target in targets}) < len(targets):
        raise ZillizBadRequestError(
            "Two collections would get the same name in the same database. Leave out destination_database.",
            unprocessed=True,
        )


def _missing(targets: Sequence[RestoreTarget], held: Contents | None) -> list[str]:
    """Return the collections that a backup does not hold; none if it does not show what it holds."""
    if held is None:
        return []
    return [
        _full_name(target.database, target.name)
        for target in targets
        if (None if is_default_database(target.database) else target.database, target.name) not in held
    ]


def _full_name(database: str | None, name: str) -> str:
    return f"{database}.{name}" if database else name
