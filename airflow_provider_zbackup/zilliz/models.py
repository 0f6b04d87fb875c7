"""Answers of the Zilliz Cloud API, as pydantic models. ``answers.py`` says how they are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from pydantic import (
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from airflow_provider_zbackup.zilliz.answers import Answer, Percentage, State, Time, with_empty_list


def is_default_database(name: str | None) -> bool:
    """Tell whether a name means the default database, which the API shows as an empty text."""
    return name in (None, "", "default")


class BackupCreation(Answer):
    """Answer of `Create Backup <https://docs.zilliz.com/reference/restful/create-backup-v2>`__."""

    backup_id: str = ""
    backup_name: str = ""
    job_id: str = ""


class BackupDeletion(Answer):
    """Answer of `Delete Backup <https://docs.zilliz.com/reference/restful/delete-backup-v2>`__."""

    backup_id: str = ""
    backup_name: str = ""


class ClusterRestoration(Answer):
    """Answer of `Restore Cluster Backup <https://docs.zilliz.com/reference/restful/restore-cluster-backup-v2>`__."""

    cluster_id: str = ""
    username: str = ""
    password: SecretStr | None = None
    job_id: str = ""


class StartedJob(Answer):
    """
    Answer of `Restore Collection Backup
    <https://docs.zilliz.com/reference/restful/restore-collection-backup-v2>`__ and
    `Export Backup Files <https://docs.zilliz.com/reference/restful/export-backup-files-v2>`__.
    """

    job_id: str = ""


class BackedUpCollection(Answer):
    """One collection inside a backup."""

    collection_name: str = Field(min_length=1)


class BackedUpDatabase(Answer):
    """
    The collections of one database inside a backup.

    What it holds must be read in full: backups that seem to hold the same can push each other out.
    """

    db_name: str = ""
    collections: tuple[BackedUpCollection, ...]

    @model_validator(mode="before")
    @classmethod
    def _accept_empty(cls, data: Any) -> Any:
        """Accept a database without collections in any form."""
        is_empty = isinstance(data, dict) and data.get("collections") is None
        return data | {"collections": []} if is_empty else data


#: Collections, each with its database; ``None`` is the default database.
Contents: TypeAlias = frozenset[tuple[str | None, str]]


class Backup(Answer):
    """
    A backup, as `Describe Backup <https://docs.zilliz.com/reference/restful/describe-backup-v2>`__ and
    `List Backups <https://docs.zilliz.com/reference/restful/list-backups-v2>`__ show it.

    A list shows neither ``region_id`` nor the collections.
    """

    backup_id: str = ""
    backup_name: str = ""
    backup_type: State = ""
    creation_method: State = ""
    status: State = ""
    size: int | None = None
    region_id: str | None = None
    cluster_id: str = ""
    cluster_name: str = ""
    project_id: str = ""
    create_time: Time | None = None
    expire_time: Time | None = None
    db_collections: tuple[BackedUpDatabase, ...] = ()

    @property
    def is_running(self) -> bool:
        """Whether it may be unfinished; an undocumented status counts as running."""
        return not (self.is_available or self.is_deleted or self.is_failed)

    @property
    def is_available(self) -> bool:
        return self.status == "AVAILABLE"

    @property
    def is_deleted(self) -> bool:
        return self.status in ("DELETED", "DELETING")

    @property
    def is_failed(self) -> bool:
        """Whether it will never be available. Backups have no documented status for this; jobs have these."""
        return self.status in ("FAILED", "ERROR", "CANCELED", "CANCELLED")

    def may_block(self, now: datetime) -> bool:
        """
        Tell whether it may be in the way of another backup.

        With an undocumented status it is so only for a day, since no backup takes longer.

        :param now: the server's time
        """
        is_old = self.create_time is not None and now - self.create_time > timedelta(days=1)
        return self.is_running and not (is_old and self.status != "CREATING")

    @property
    def is_manual(self) -> bool:
        return self.creation_method == "MANUAL"

    @property
    def contents(self) -> Contents | None:
        """The collections that it holds; ``None`` if it does not show them all, as in a list."""
        return (
            contents_of(
                (held.db_name, item.collection_name)
                for held in self.db_collections
                for item in held.collections
            )
            or None
        )

    def describe(self, now: datetime | None = None) -> str:
        """
        Return the backup's id, kind and age in words, for logs and errors.

        :param now: the server's time, for the age
        """
        kind = " ".join(word for word in (self.creation_method.lower(), self.backup_type.lower()) if word)
        age = ""
        if now and self.create_time:
            age = f", {max(0, round((now - self.create_time).total_seconds()))} s old"
        return f"{kind or 'unknown'} backup {self.backup_id or '(no id)'} ({self.status or 'no status'}{age})"


def contents_of(names: Iterable[tuple[str | None, str]]) -> Contents:
    return frozenset((None if is_default_database(database) else database, name) for database, name in names)


class BackupPage(Answer):
    """One page of `List Backups <https://docs.zilliz.com/reference/restful/list-backups-v2>`__."""

    page_size: int | None = None
    backups: tuple[Backup, ...]

    @model_validator(mode="before")
    @classmethod
    def _accept_empty(cls, data: Any) -> Any:
        return with_empty_list(data, "backups")

    @property
    def items(self) -> Sequence[Backup]:
        return self.backups


class Job(Answer):
    """
    A job, as `Describe Job <https://docs.zilliz.com/reference/restful/describe-job-v2>`__ shows it.

    Only one status means success. An undocumented status counts as running.
    """

    job_id: str = ""
    type: str = ""
    status: State = ""
    progress: Percentage | None = None
    start_time: Time | None = None
    end_time: Time | None = None
    reason: str = ""

    @property
    def is_successful(self) -> bool:
        return self.status == "SUCCESSFUL"

    @property
    def is_failed(self) -> bool:
        return self.status in ("FAILED", "ERROR")

    @property
    def is_canceled(self) -> bool:
        return self.status in ("CANCELED", "CANCELLED")


class Cluster(Answer):
    """A cluster: `Describe Cluster <https://docs.zilliz.com/reference/restful/describe-cluster-v2>`__."""

    cluster_id: str = ""
    cluster_name: str = ""
    project_id: str = ""
    region_id: str = ""
    plan: str = ""
    deployment_option: str = ""
    status: State = ""
    cu_size: int | None = None
    connect_address: str = ""
    create_time: Time | None = None

    @property
    def is_running(self) -> bool:
        return self.status == "RUNNING"

    @property
    def is_dropped(self) -> bool:
        return self.status in ("DELETING", "DELETED")

    @property
    def can_have_backups(self) -> bool:
        """Whether it is neither Free nor Serverless, since those have no backups."""
        return not {"FREE", "SERVERLESS"} & {self.deployment_option.upper(), self.plan.upper()}


class ClusterPage(Answer):
    """One page of `List Clusters <https://docs.zilliz.com/reference/restful/list-clusters-v2>`__."""

    page_size: int | None = None
    clusters: tuple[Cluster, ...]

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_list(cls, data: Any) -> Any:
        """Accept both forms: the reference's schema shows a bare list, its example an object."""
        return {"clusters": data} if isinstance(data, list) else with_empty_list(data, "clusters")

    @property
    def items(self) -> Sequence[Cluster]:
        return self.clusters


class ClusterDrop(Answer):
    """Answer of `Drop Cluster <https://docs.zilliz.com/reference/restful/drop-cluster-v2>`__."""

    cluster_id: str = ""
    prompt: str = ""


class PolicyCopy(Answer):
    """A region in which a policy keeps copies, and for how many days."""

    region_id: str = ""
    retention_days: int = 0


class BackupPolicy(Answer):
    """
    The policy for automatic backups of a cluster, as
    `Get Backup Policy <https://docs.zilliz.com/reference/restful/get-backup-policy-v2>`__ shows it.

    How a schedule reads that only the web console can make, such as a monthly one, is not documented. So the
    schedule is kept as it was read, with all fields.
    """

    model_config = ConfigDict(extra="allow")

    cluster_id: str = ""
    status: State = ""
    start_time: Any = None
    frequency: Any = None
    retention_days: int = 0
    cross_region_copies: tuple[PolicyCopy, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _accept_none(cls, data: Any) -> Any:
        """Accept null: how the answer looks for a cluster that never had a policy is not documented."""
        return {"status": "DISABLED"} if data is None else data

    @property
    def is_disabled(self) -> bool:
        return self.status == "DISABLED"


class Project(Answer):
    """A project: `List Projects <https://docs.zilliz.com/reference/restful/list-projects-v2>`__."""

    project_id: str = ""
    project_name: str = ""
    plan: str = ""


class Region(Answer):
    """A region: `List Cloud Regions <https://docs.zilliz.com/reference/restful/list-cloud-regions-v2>`__."""

    region_id: str = ""
    cloud_id: str = ""
    domain: str = ""


class StorageIntegration(Answer):
    """A place outside of Zilliz Cloud to which backups can be exported."""

    integration_id: str = ""
    name: str = ""
    status: State = ""
    message: str = ""
    region_id: str = ""
    bucket_name: str = ""


class StorageIntegrationPage(Answer):
    """One page of the list of storage integrations."""

    page_size: int | None = None
    storage_integrations: tuple[StorageIntegration, ...]

    @model_validator(mode="before")
    @classmethod
    def _accept_empty(cls, data: Any) -> Any:
        return with_empty_list(data, "storageIntegrations")

    @property
    def items(self) -> Sequence[StorageIntegration]:
        return self.storage_integrations
