"""Operators for backups in Zilliz Cloud."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_zbackup.assets.zilliz import make_uri
from airflow_provider_zbackup.operators.base import ZillizJobOperator, ZillizOperator
from airflow_provider_zbackup.utils.arguments import (
    Argument,
    check_amount,
    check_choice,
    check_count,
    check_duration,
    check_flag,
    check_id_or_result,
    check_names,
    check_pattern,
    check_seconds,
    check_timezone,
    id_or_field,
    ids_of_backup,
)
from airflow_provider_zbackup.utils.assets import Act, Effect
from airflow_provider_zbackup.zilliz.checks import ArgumentError, check_backup_scope

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_zbackup.triggers.backup import ZillizBackupTrigger
    from airflow_provider_zbackup.triggers.job import ZillizStartedJobTrigger
    from airflow_provider_zbackup.zilliz.flows.creation import CreateBackupSubmission, CreateRecord
    from airflow_provider_zbackup.zilliz.flows.export import ExportBackupSubmission
    from airflow_provider_zbackup.zilliz.flows.started_jobs import JobRecord
    from airflow_provider_zbackup.zilliz.flows.steps import Flow


class ZillizCreateBackupOperator(ZillizJobOperator["CreateRecord"]):
    """
    Back up a Zilliz Cloud cluster, or some collections of it, and wait until the backup can be used.

    The backup is created once, whatever fails: a retry finds what an earlier try created. Zilliz Cloud runs
    one manual backup at a time, and none during an automatic one, so the task waits for other backups.

    .. seealso:: `Create Backup <https://docs.zilliz.com/reference/restful/create-backup-v2>`__

    :param cluster_id: id of the (Dedicated) cluster, such as ``in01-xxxxxxxxxxxxxxx`` (templated)
    :param collections: names of the collections to back up, all of one database; by default the whole
        cluster is backed up (templated)
    :param database: database of the collections, by default the default database (templated)
    :param copy_to_regions: ids of regions, such as ``aws-us-west-2``: each gets a permanent copy after the
        backup has ended (templated)
    :param wait_for_copies: whether to wait for those copies too, after the backup itself. The API does not
        say which backups are copies, so the task looks for backups in these regions that can only be copies.
        It never fails because of a copy: it warns of each region without a confirmed one
    :param copies_timeout: how long to wait for the copies after the backup has ended, in seconds; it counts
        on top of ``timeout``
    :param record_manifest: whether to record what the collections are when the backup begins: schemas,
        indexes, numbers of rows, and primary keys and fingerprints of some rows. With it, a
        :class:`~airflow_provider_zbackup.operators.verify.ZillizVerifyCollectionsOperator` can prove a
        restore months later. It is the XCom ``manifest``, and in the events of the task's outlets. It reads
        the data plane and loads nothing: of a collection that is not loaded, it has no rows. If it cannot be
        recorded, the log says so and the backup goes on
    :param sample_rows: how many rows of each collection a manifest samples; each takes about 40 bytes of it.
        They are taken at even distances; if primary keys are texts, from the 1,048,576 smallest ones
    :param wait_for_completion: see :class:`~airflow_provider_zbackup.operators.base.ZillizJobOperator`, also
        for ``deferrable``, ``poll_interval``, ``timeout``, ``on_conflict``, ``conflict_timeout``,
        ``on_uncertain``, ``defer_after``, ``end_from_trigger`` and ``zilliz_conn_id``
    :return: the backup, as plain JSON: ``cluster_id``, ``backup_id``, ``backup_name``, ``backup_type``,
        ``job_id``, ``status``, ``size`` (bytes), ``region_id``, ``create_time``, and ``adopted``:
        whether the create got no answer and the backup was found in the list. Unknown values are null. With
        ``wait_for_copies`` also ``copies``: for each region its ``region_id``, ``backup_id`` and ``status``,
        which are null if no copy was seen there. As soon as the backup is created, what is known of it is
        also in the XCom ``zilliz_backup.<backup_id>``: so Airflow's API can tell which task made a backup
    """

    arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("cluster_id"),
        Argument("collections", partial(check_names, of="collection names"), optional=True, limits=True),
        Argument("database", optional=True),
        Argument("copy_to_regions", partial(check_names, of="region ids"), optional=True),
        Argument("wait_for_copies", check_flag),
        Argument("copies_timeout", check_seconds),
        Argument("record_manifest", check_flag),
        Argument("sample_rows", partial(check_count, at_least=0)),
    )
    template_fields: Sequence[str] = (
        "cluster_id",
        "collections",
        "database",
        "copy_to_regions",
        "on_uncertain",
        "zilliz_conn_id",
    )

    def __init__(
        self,
        *,
        cluster_id: str,
        collections: Sequence[str] | None = None,
        database: str | None = None,
        copy_to_regions: Sequence[str] | None = None,
        wait_for_copies: bool = False,
        copies_timeout: float = 2 * 60 * 60.0,
        record_manifest: bool = False,
        sample_rows: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster_id = cluster_id
        self.collections = collections
        self.database = database
        self.copy_to_regions = copy_to_regions
        self.wait_for_copies = wait_for_copies
        self.copies_timeout = copies_timeout
        self.record_manifest = record_manifest
        self.sample_rows = sample_rows
        self._facts_of_manifest: dict[str, Any] = {}
        self.check_arguments()

    def check_arguments(self, *, rendered: bool = False) -> None:
        super().check_arguments(rendered=rendered)
        check_backup_scope(self.collections, self.database)
        if self.wait_for_copies and (self.copy_to_regions is None or not self.wait_for_completion):
            raise ArgumentError("wait_for_copies needs copy_to_regions and wait_for_completion=True")

    def submissions(self) -> Sequence[CreateBackupSubmission]:
        from airflow_provider_zbackup.zilliz.flows.creation import CreateBackupSubmission
        from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest

        request = CreateBackupRequest.of(self.collections, self.database, self.copy_to_regions)
        return [CreateBackupSubmission(self.cluster_id, request)]

    def submitted(self, record: CreateRecord) -> dict[str, Any]:
        return {
            "cluster_id": record.cluster_id,
            "backup_id": record.backup_id,
            "backup_name": record.backup_name or None,
            "backup_type": record.backup_type,
            "job_id": record.job_id or None,
            "status": None,
            "size": None,
            "region_id": None,
            "create_time": None,
            "adopted": record.adopted,
        }

    def announce(self, context: Context, record: CreateRecord, result: dict[str, Any]) -> None:
        # The id is in the key, so that one call of Airflow's API finds the tasks of any number of backups.
        context["ti"].xcom_push(key=f"zilliz_backup.{result['backup_id']}", value=result)
        if self.record_manifest:
            from airflow_provider_zbackup.utils.manifests import record_manifest

            record_manifest(
                context,
                self.hook,
                self.log,
                cluster_id=self.cluster_id,
                backup_id=record.backup_id,
                begun=record.first_sent,
                collections=self.collections,
                database=self.database,
                sample_rows=int(self.sample_rows),
            )

    def job_trigger(self, result: dict[str, Any], **timing: Any) -> ZillizBackupTrigger:
        from airflow_provider_zbackup.triggers.backup import ZillizBackupTrigger, ZillizCopiedBackupTrigger

        if not self.wait_for_copies:
            return ZillizBackupTrigger(result=result, **timing)
        longest = self.cap_to_execution_timeout(self.timeout + self.copies_timeout)
        return ZillizCopiedBackupTrigger(
            result=result,
            copy_to_regions=list(self.copy_to_regions or ()),
            copies_timeout=self.copies_timeout,
            copies_deadline=timing["since"] + longest,
            **timing,
        )

    def effect(self, result: Mapping[str, Any]) -> Effect:
        names: Sequence[str | None] = [None] if self.collections is None else self.collections
        uris = [make_uri(self.cluster_id, self.database, name) for name in names]
        facts = ("backup_id", "job_id", "size", "create_time")
        known = {name: result.get(name) for name in facts} | self._facts_of_manifest
        return Effect(Act.BACK_UP, self.cluster_id, uris, known)

    def emit_asset_events(self, context: Context, results: Iterable[Mapping[str, Any]]) -> None:
        if self.record_manifest and self.outlets:
            from airflow_provider_zbackup.utils.manifests import recorded_manifest

            # An earlier leg of the task, in another process, may have recorded it.
            self._facts_of_manifest = {"manifest": recorded_manifest(context)}
        super().emit_asset_events(context, results)

    def summary(self, result: dict[str, Any]) -> str:
        text = "Backup {backup_id} of cluster {cluster_id} is {status}: {size} bytes in {region_id}."
        return text.format_map(result)


class ZillizExportBackupOperator(ZillizJobOperator["JobRecord"]):
    """
    Export the files of a backup to a bucket of your own, and wait until they are there.

    Zilliz Cloud offers this as a private preview, for Dedicated clusters in Enterprise projects.

    If the call gets no answer, nothing in the API shows whether it started an export. Then the task fails and
    says what to check; ``on_uncertain`` is the answer.

    .. seealso:: `Export Backup Files
        <https://docs.zilliz.com/reference/restful/export-backup-files-v2>`__

    :param cluster_id: id of the cluster that the backup is of (templated)
    :param backup_id: id of the backup, or the whole result of a :class:`ZillizCreateBackupOperator`
        (templated)
    :param integration_id: id of the storage integration to export to, such as ``integ-xxxxxxxxxxxxxxxxxxxx``
        (templated)
    :param directory: directory in its bucket, such as ``"backups/"`` (templated)
    :param wait_for_completion: see :class:`~airflow_provider_zbackup.operators.base.ZillizJobOperator`, also
        for ``deferrable``, ``poll_interval``, ``timeout``, ``on_conflict``, ``conflict_timeout``,
        ``on_uncertain``, ``defer_after``, ``end_from_trigger`` and ``zilliz_conn_id``
    :return: the export, as plain JSON: ``cluster_id``, ``backup_id``, ``integration_id``, ``directory``,
        ``job_id`` and ``status``
    """

    arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("cluster_id"),
        Argument("backup_id", partial(check_id_or_result, field="backup_id")),
        Argument("integration_id"),
        Argument("directory"),
    )
    template_fields: Sequence[str] = (
        *(argument.name for argument in arguments),
        "on_uncertain",
        "zilliz_conn_id",
    )

    def __init__(
        self,
        *,
        cluster_id: str,
        backup_id: str | Mapping[str, Any] | XComArg,
        integration_id: str,
        directory: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster_id = cluster_id
        self.backup_id = backup_id
        self.integration_id = integration_id
        self.directory = directory
        self.check_arguments()

    def submissions(self) -> Sequence[ExportBackupSubmission]:
        from airflow_provider_zbackup.zilliz.flows.export import ExportBackupSubmission

        backup_id = id_or_field("backup_id", self.backup_id, "backup_id")
        return [ExportBackupSubmission(self.cluster_id, backup_id, self.integration_id, self.directory)]

    def submitted(self, record: JobRecord) -> dict[str, Any]:
        return {
            "cluster_id": self.cluster_id,
            "backup_id": id_or_field("backup_id", self.backup_id, "backup_id"),
            "integration_id": self.integration_id,
            "directory": self.directory,
            "job_id": record.job_id,
            "status": None,
        }

    def job_trigger(self, result: dict[str, Any], **timing: Any) -> ZillizStartedJobTrigger:
        from airflow_provider_zbackup.triggers.job import ZillizStartedJobTrigger

        return ZillizStartedJobTrigger(result=result, **timing)

    def summary(self, result: dict[str, Any]) -> str:
        return "Backup {backup_id} is in {directory} of {integration_id}.".format_map(result)


class ZillizDeleteBackupOperator(ZillizOperator):
    """
    Delete a backup. A backup that is already gone is no error; one that is being made is not deleted.

    Manual backups are kept, and billed, until somebody deletes them. Deleting cannot be undone.

    .. seealso:: `Delete Backup <https://docs.zilliz.com/reference/restful/delete-backup-v2>`__

    :param backup: the whole result of a :class:`ZillizCreateBackupOperator`, instead of both ids (templated)
    :param cluster_id: id of the cluster that the backup is of (templated)
    :param backup_id: id of the backup, or the whole result too (templated)
    :param zilliz_conn_id: :ref:`Airflow connection <howto/connection>` of type ``zilliz`` (templated)
    :return: ``cluster_id``, ``backup_id``, ``backup_name``, and ``deleted``: false if it was already gone
    :raises ZillizConflictError: when the backup is being made; a retry may find it finished
    """

    arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("backup", partial(check_id_or_result, field="backup_id"), optional=True),
        Argument("cluster_id", optional=True),
        Argument("backup_id", partial(check_id_or_result, field="backup_id"), optional=True),
    )
    template_fields: Sequence[str] = (*(argument.name for argument in arguments), "zilliz_conn_id")

    def __init__(
        self,
        *,
        backup: Mapping[str, Any] | XComArg | str | None = None,
        cluster_id: str | None = None,
        backup_id: str | Mapping[str, Any] | XComArg | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.backup = backup
        self.cluster_id = cluster_id
        self.backup_id = backup_id
        self.check_arguments()

    def check_arguments(self, *, rendered: bool = False) -> None:
        ids_given = {self.cluster_id is not None, self.backup_id is not None}
        if ids_given != {self.backup is None}:
            raise ArgumentError("give either backup, or both cluster_id and backup_id")
        super().check_arguments(rendered=rendered)

    def flow(self) -> Flow[dict[str, Any]]:
        from airflow_provider_zbackup.zilliz.flows.deletion import delete_one

        return delete_one(*self._ids())

    def effect(self, result: Mapping[str, Any]) -> Effect:
        cluster_id, backup_id = self._ids()
        uris = [make_uri(cluster_id)] if result.get("deleted") else []
        return Effect(
            Act.DELETE, cluster_id, uris, {"backup_id": backup_id, "deleted": result.get("deleted")}
        )

    def _ids(self) -> tuple[str, str]:
        if self.backup is not None:
            return ids_of_backup("backup", self.backup)
        backup_id = id_or_field("backup_id", self.backup_id, "backup_id")
        return ids_of_backup("backup", {"cluster_id": self.cluster_id, "backup_id": backup_id})


class ZillizPruneBackupsOperator(ZillizOperator):
    """
    Delete the backups that no rule keeps. The log shows the whole plan before anything is deleted.

    A backup goes only if every given rule lets it go. The rules count per group: backups of one cluster with
    the same type, creation method, region and collections. Of each group the newest ``min_keep`` stay,
    whatever the rules say. A backup that is being made, or that shows no usable creation time, stays and is
    not counted.

    The task may be interrupted at any time; the next run finds the same backups to keep.

    Nothing in the API shows that a backup is in use. Give an ``older_than`` that is longer than your longest
    migration, restore and export: they fail without their backup.

    :param cluster_id: the cluster whose backups are pruned (templated)
    :param project_id: the project whose backups are pruned, instead of one cluster (templated)
    :param keep_last: keep this many of the newest (templated)
    :param older_than: delete only those that are older, by the clock of Zilliz Cloud
    :param keep_daily: keep the newest of each day, for this many of the last days that have a backup
        (templated)
    :param keep_weekly: the same for weeks, which begin on Monday (templated)
    :param keep_monthly: the same for months (templated)
    :param timezone: where those days begin, such as ``"Europe/Paris"``
    :param min_keep: keep at least this many of the newest of each group; at least 1
    :param keep: ids or names of backups to keep (templated)
    :param keep_names: keep backups with such names, such as ``"keep-*"``; the web console can rename a
        backup (templated)
    :param backup_type: ``"CLUSTER"`` or ``"COLLECTION"``; by default both
    :param creation_method: ``"MANUAL"``, or ``"AUTO"`` for the backups of a policy, which expire by
        themselves
    :param price_per_gb_month: price of a GB (10^9 bytes) of backups per month, in any currency, to log what
        the deleted ones cost
    :param dry_run: whether to log the plan and delete nothing
    :param zilliz_conn_id: :ref:`Airflow connection <howto/connection>` of type ``zilliz`` (templated)
    :return: ``deleted`` (their number), ``freed_bytes``, ``dry_run``, ``cluster_id``, ``project_id``, and
        ``backups``: for each its ``backup_id``, ``backup_name``, ``cluster_id``, ``create_time``, ``size``
        (bytes), ``action`` (``kept``, ``deleted``, ``would be deleted`` or ``skipped``) and ``reason``
    :raises ZillizError: when some could not be deleted, after all others were
    """

    arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("project_id", optional=True),
        Argument("cluster_id", optional=True),
        Argument("keep_last", check_count, optional=True, limits=True),
        Argument("older_than", check_duration, optional=True, limits=True),
        Argument("keep_daily", check_count, optional=True, limits=True),
        Argument("keep_weekly", check_count, optional=True, limits=True),
        Argument("keep_monthly", check_count, optional=True, limits=True),
        Argument("timezone", check_timezone),
        Argument("min_keep", check_count),
        Argument("keep", partial(check_names, of="backup ids or names"), optional=True, limits=True),
        Argument("keep_names", check_pattern, optional=True, limits=True),
        Argument("backup_type", partial(check_choice, choices=("CLUSTER", "COLLECTION")), optional=True),
        Argument("creation_method", partial(check_choice, choices=("MANUAL", "AUTO"))),
        Argument("price_per_gb_month", check_amount, optional=True),
    )
    template_fields: Sequence[str] = (
        "cluster_id",
        "project_id",
        "keep_last",
        "keep_daily",
        "keep_weekly",
        "keep_monthly",
        "keep",
        "keep_names",
        "zilliz_conn_id",
    )

    def __init__(
        self,
        *,
        cluster_id: str | None = None,
        project_id: str | None = None,
        keep_last: int | str | None = None,
        older_than: timedelta | None = None,
        keep_daily: int | str | None = None,
        keep_weekly: int | str | None = None,
        keep_monthly: int | str | None = None,
        timezone: str = "UTC",
        min_keep: int = 1,
        keep: Sequence[str] | None = None,
        keep_names: str | None = None,
        backup_type: str | None = None,
        creation_method: str = "MANUAL",
        price_per_gb_month: float | None = None,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster_id = cluster_id
        self.project_id = project_id
        self.keep_last = keep_last
        self.older_than = older_than
        self.keep_daily = keep_daily
        self.keep_weekly = keep_weekly
        self.keep_monthly = keep_monthly
        self.timezone = timezone
        self.min_keep = min_keep
        self.keep = keep
        self.keep_names = keep_names
        self.backup_type = backup_type
        self.creation_method = creation_method
        self.price_per_gb_month = price_per_gb_month
        # BaseOperator has a method named dry_run.
        self.is_dry_run = dry_run
        self.check_arguments()

    def check_arguments(self, *, rendered: bool = False) -> None:
        if (self.cluster_id is None) == (self.project_id is None):
            raise ArgumentError("give either cluster_id or project_id")
        rules = ("keep_last", "older_than", "keep_daily", "keep_weekly", "keep_monthly")
        if all(getattr(self, rule) is None for rule in rules):
            raise ArgumentError(f"give at least one rule: {', '.join(rules)}")
        check_flag("dry_run", self.is_dry_run)
        super().check_arguments(rendered=rendered)

    def flow(self) -> Flow[dict[str, Any]]:
        from airflow_provider_zbackup.zilliz.flows.deletion import prune
        from airflow_provider_zbackup.zilliz.flows.retention import RetentionRules

        counts = ("keep_last", "keep_daily", "keep_weekly", "keep_monthly")
        given = {name: int(getattr(self, name)) for name in counts if getattr(self, name) is not None}
        rules = RetentionRules(
            **given,
            older_than=self.older_than,
            timezone=self.timezone,
            min_keep=int(self.min_keep),
            keep=frozenset(self.keep or ()),
            keep_names=self.keep_names,
        )
        return prune(
            rules,
            cluster_id=self.cluster_id,
            project_id=self.project_id,
            backup_type=self.backup_type,
            creation_method=self.creation_method,
            price_per_gb_month=self.price_per_gb_month,
            dry_run=self.is_dry_run,
        )
