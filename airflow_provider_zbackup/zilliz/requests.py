"""Bodies of the Zilliz Cloud API's calls, as pydantic models: exactly the fields that were given."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from airflow_provider_zbackup.zilliz.checks import (
    COLLECTION_STATUSES,
    RESTORE_VERSIONS,
    RETENTION_DAYS,
    WEEKDAYS,
    check_backup_scope,
    check_choice,
    check_copies,
    check_id,
    check_names,
    check_number,
    check_weekdays,
)
from airflow_provider_zbackup.zilliz.models import Backup, Contents, contents_of


class Request(BaseModel):
    """Base of every request body: only the fields that were given are sent."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        defer_build=True,
    )

    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class DatabaseCollections(Request):
    """The collections of one database to back up; no ``db_name`` means the default database."""

    db_name: str | None = None
    collection_names: tuple[str, ...]


class CrossRegionCopy(Request):
    """One permanent copy of the backup in another region of the same cloud provider."""

    region_id: str


class CreateBackupRequest(Request):
    """Body of `Create Backup <https://docs.zilliz.com/reference/restful/create-backup-v2>`__."""

    backup_type: str
    db_collections: tuple[DatabaseCollections, ...] | None = None
    cross_region_copies: tuple[CrossRegionCopy, ...] | None = None

    @classmethod
    def of(
        cls,
        collections: Collection[str] | None = None,
        database: str | None = None,
        copy_to_regions: Collection[str] | None = None,
    ) -> CreateBackupRequest:
        """
        Return the request for a backup of the whole cluster, or of some collections of one database.

        :param collections: names of the collections; ``None`` backs up the whole cluster
        :param database: the collections' database; ``None`` means the default one
        :param copy_to_regions: ids of regions that each get a permanent copy
        :raises ArgumentError: when an argument is unusable, such as a text instead of a list
        """
        if collections is not None:
            check_names("collections", collections, of="collection names")
        if database is not None:
            check_id("database", database)
        check_backup_scope(collections, database)
        if copy_to_regions is not None:
            check_names("copy_to_regions", copy_to_regions, of="region ids")
        databases = None
        if collections is not None:
            databases = (DatabaseCollections(db_name=database, collection_names=tuple(collections)),)
        return cls(
            backup_type="CLUSTER" if collections is None else "COLLECTION",
            db_collections=databases,
            cross_region_copies=tuple(CrossRegionCopy(region_id=region) for region in copy_to_regions)
            if copy_to_regions
            else None,
        )

    def covers_same(self, backup: Backup) -> bool | None:
        """
        Tell whether a backup has exactly the content that this request asks for.

        :param backup: the backup as Describe Backup shows it
        :return: ``None`` when the backup does not (yet) show its content
        """
        if not backup.backup_type:
            return None
        if self.backup_type != backup.backup_type:
            return False
        if self.db_collections is None:
            return True
        return None if backup.contents is None else backup.contents == self.contents

    def may_name_aliases_of(self, backup: Backup) -> bool:
        """
        Tell whether the collections that a backup shows may be those behind the names in this request.

        Any name may be an alias, and two aliases may mean the same collection. But a backup of more
        collections, or of another database, is not what was asked for.
        """
        held, asked = backup.contents or frozenset(), self.contents
        return (
            self.backup_type == backup.backup_type
            and len(held) <= len(asked)
            and {database for database, _ in held} == {database for database, _ in asked}
        )

    @property
    def contents(self) -> Contents:
        """The collections to back up; none means the whole cluster."""
        return contents_of(
            (database.db_name, name)
            for database in self.db_collections or ()
            for name in database.collection_names
        )


class RestoreClusterRequest(Request):
    """Body of `Restore Cluster Backup <https://docs.zilliz.com/reference/restful/restore-cluster-backup-v2>`__."""

    project_id: str
    cluster_name: str
    cu_size: int
    collection_status: str
    restore_version_policy: str | None = None

    @classmethod
    def of(
        cls,
        *,
        project_id: str,
        cluster_name: str,
        cu_size: int,
        collection_status: str,
        restore_version: str | None = None,
    ) -> RestoreClusterRequest:
        """
        Return the request.

        :raises ArgumentError: when an argument is unusable
        """
        check_id("project_id", project_id)
        check_id("cluster_name", cluster_name)
        check_number("cu_size", cu_size, 1)
        check_choice("collection_status", collection_status, COLLECTION_STATUSES)
        if restore_version is not None:
            check_choice("restore_version", restore_version, RESTORE_VERSIONS)
        return cls(
            project_id=project_id,
            cluster_name=cluster_name,
            cu_size=int(cu_size),
            collection_status=collection_status,
            restore_version_policy=restore_version,
        )


class RegionRetention(Request):
    """For how many days copies of automatic backups are kept in another region."""

    region_id: str
    retention_days: int


class SetBackupPolicyRequest(Request):
    """
    Body of `Set Backup Policy <https://docs.zilliz.com/reference/restful/set-backup-policy-v2>`__.

    The list of copies is always sent, as the official clients do.
    """

    enabled: bool
    frequency: str | None = None
    start_time: str | None = None
    retention_days: int | None = None
    cross_region_copies: tuple[RegionRetention, ...] = ()

    @classmethod
    def of(
        cls,
        weekdays: Collection[str],
        start_hour: int | str,
        retention_days: int | str,
        copies: Mapping[str, int | str] | None = None,
    ) -> SetBackupPolicyRequest:
        """
        Return the request that enables a policy.

        :param weekdays: such as ``["monday", "thursday"]``
        :param start_hour: when the window of two hours begins, in UTC, 0 to 23
        :param retention_days: how long backups are kept, 1 to 30
        :param copies: by region id, how many days copies are kept there, 1 to 30
        :raises ArgumentError: when an argument is unusable
        """
        check_weekdays("weekdays", weekdays)
        check_number("start_hour", start_hour, 0, 23)
        check_number("retention_days", retention_days, *RETENTION_DAYS)
        check_copies("copies", copies or {})
        hour = int(start_hour)
        return cls(
            enabled=True,
            frequency=",".join(str(day) for day, name in enumerate(WEEKDAYS, 1) if name in weekdays),
            start_time=f"{hour:02}:00-{(hour + 2) % 24:02}:00",
            retention_days=int(retention_days),
            cross_region_copies=tuple(
                RegionRetention(region_id=region, retention_days=int(days))
                for region, days in sorted((copies or {}).items())
            ),
        )


class RestoreTarget(NamedTuple):
    """
    A collection of a backup, and where it is restored to.

    :param database: ``None`` means the default one
    :param destination_database: ``None`` means the default one
    """

    database: str | None
    name: str
    destination_database: str | None
    restored_as: str


class RestoredCollection(Request):
    """One collection to restore, under which name, and whether to load it."""

    collection_name: str
    dest_collection_name: str
    dest_collection_status: str


class RestoredDatabase(Request):
    """
    The collections of one database to restore, and into which database.

    The API takes one collection per call.
    """

    db_name: str | None = None
    dest_db_name: str | None = None
    collections: tuple[RestoredCollection]


class RestoreCollectionsRequest(Request):
    """
    Body of
    `Restore Collection Backup <https://docs.zilliz.com/reference/restful/restore-collection-backup-v2>`__.

    Without ``db_collections`` all collections of the backup are restored under their names, not loaded.
    """

    dest_cluster_id: str
    db_collections: tuple[RestoredDatabase] | None = None

    @classmethod
    def of(
        cls, destination_cluster_id: str, target: RestoreTarget | None, *, load: bool
    ) -> RestoreCollectionsRequest:
        """
        Return the request for one collection, or without a target for all.

        :raises ArgumentError: when an argument is unusable
        """
        check_id("destination_cluster_id", destination_cluster_id)
        if target is None:
            return cls(dest_cluster_id=destination_cluster_id)
        check_id("the collection to restore", target.name)
        check_id("the restored collection", target.restored_as)
        for name in ("database", "destination_database"):
            if (value := getattr(target, name)) is not None:
                check_id(name, value)
        collection = RestoredCollection(
            collection_name=target.name,
            dest_collection_name=target.restored_as,
            dest_collection_status="LOADED" if load else "UNLOADED",
        )
        database = RestoredDatabase(
            db_name=target.database,
            dest_db_name=target.destination_database,
            collections=(collection,),
        )
        return cls(dest_cluster_id=destination_cluster_id, db_collections=(database,))


class ExportBackupRequest(Request):
    """Body of `Export Backup Files <https://docs.zilliz.com/reference/restful/export-backup-files-v2>`__."""

    integration_id: str
    directory: str

    @classmethod
    def of(cls, integration_id: str, directory: str) -> ExportBackupRequest:
        """
        Return the request.

        :raises ArgumentError: when an argument is unusable
        """
        check_id("integration_id", integration_id)
        check_id("directory", directory)
        return cls(integration_id=integration_id, directory=directory)
