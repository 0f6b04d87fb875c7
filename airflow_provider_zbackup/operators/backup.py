"""Operators for backups in Zilliz Cloud."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_zbackup.operators.base import ZillizJobOperator
from airflow_provider_zbackup.utils.arguments import Argument, check_names
from airflow_provider_zbackup.version_compat import is_from_mapped
from airflow_provider_zbackup.zilliz.checks import ArgumentError, check_backup_scope

if TYPE_CHECKING:
    from airflow_provider_zbackup.triggers.backup import ZillizBackupTrigger
    from airflow_provider_zbackup.zilliz.flows.creation import CreateBackupSubmission, CreateRecord

#: Default of ``collections``: a mapped task may get ``None`` by mistake, which must not mean "all".
_NOT_GIVEN: Any = object()


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
    :param wait_for_completion: see :class:`~airflow_provider_zbackup.operators.base.ZillizJobOperator`, also
        for ``deferrable``, ``poll_interval``, ``timeout``, ``on_conflict``, ``conflict_timeout``,
        ``on_uncertain``, ``defer_after``, ``end_from_trigger`` and ``zilliz_conn_id``
    :return: the backup, as plain JSON: ``cluster_id``, ``backup_id``, ``backup_name``, ``backup_type``,
        ``job_id``, ``status``, ``size`` (bytes), ``region_id``, ``create_time``, and ``adopted``:
        whether the create got no answer and the backup was found in the list. Unknown values are null
    """

    arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("cluster_id"),
        Argument("collections", partial(check_names, of="collection names"), optional=True),
        Argument("database", optional=True),
        Argument("copy_to_regions", partial(check_names, of="region ids"), optional=True),
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
        collections: Sequence[str] | None = _NOT_GIVEN,
        database: str | None = None,
        copy_to_regions: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._has_empty_mapping = collections is None and is_from_mapped(self)
        self.cluster_id = cluster_id
        self.collections = None if collections is _NOT_GIVEN else collections
        self.database = database
        self.copy_to_regions = copy_to_regions
        self.check_arguments()

    def check_arguments(self, *, rendered: bool = False) -> None:
        super().check_arguments(rendered=rendered)
        if rendered and self._has_empty_mapping:
            raise ArgumentError(
                "collections is None in a mapped task: leave it out to back up the whole cluster"
            )
        check_backup_scope(self.collections, self.database)

    def submission(self) -> CreateBackupSubmission:
        from airflow_provider_zbackup.zilliz.flows.creation import CreateBackupSubmission
        from airflow_provider_zbackup.zilliz.models import CreateBackupRequest

        request = CreateBackupRequest.of(self.collections, self.database, self.copy_to_regions)
        return CreateBackupSubmission(self.cluster_id, request)

    def submitted(self, record: CreateRecord) -> dict[str, Any]:
        return {
            "cluster_id": record.cluster_id,
            "backup_id": record.backup_id,
            "backup_name": record.backup_name or None,
            "backup_type": record.request["backupType"],
            "job_id": record.job_id or None,
            "status": None,
            "size": None,
            "region_id": None,
            "create_time": None,
            "adopted": record.adopted,
        }

    def job_trigger(self, result: dict[str, Any], **timing: Any) -> ZillizBackupTrigger:
        from airflow_provider_zbackup.triggers.backup import ZillizBackupTrigger

        return ZillizBackupTrigger(result=result, **timing)

    def summary(self, result: dict[str, Any]) -> str:
        text = "Backup {backup_id} of cluster {cluster_id} is {status}: {size} bytes in {region_id}."
        return text.format_map(result)
