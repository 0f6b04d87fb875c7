"""Operators that restore backups of Zilliz Cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_zbackup.operators.base import ZillizJobOperator
from airflow_provider_zbackup.utils.arguments import (
    Argument,
    check_choice,
    check_count,
    check_flag,
    check_id_or_result,
    id_or_field,
)
from airflow_provider_zbackup.version_compat import set_variable
from airflow_provider_zbackup.zilliz.checks import ArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import XComArg

    from airflow_provider_zbackup.triggers.cluster import ZillizRestoredClusterTrigger
    from airflow_provider_zbackup.zilliz.flows.restoration import (
        RestoreClusterRecord,
        RestoreClusterSubmission,
    )
    from airflow_provider_zbackup.zilliz.flows.steps import KeepSecret


class ZillizRestoreClusterOperator(ZillizJobOperator["RestoreClusterRecord"]):
    """
    Restore a backup of a cluster into a new cluster, and wait until that cluster is RUNNING.

    The new cluster is made once, whatever fails: a retry finds it by its name, which is unique in the
    project.

    Zilliz Cloud shows the password of the new cluster only once, in its answer. Say where to store it, or
    discard it: an API key opens the new cluster too.

    .. seealso:: `Restore Cluster Backup
        <https://docs.zilliz.com/reference/restful/restore-cluster-backup-v2>`__

    :param cluster_id: id of the cluster that the backup is of (templated)
    :param backup_id: id of the backup, or the whole result of a
        :class:`~airflow_provider_zbackup.operators.backup.ZillizCreateBackupOperator` (templated)
    :param cluster_name: name of the new cluster (templated)
    :param project_id: project of the new cluster; by default that of the source cluster, while that exists
        (templated)
    :param cu_size: size of the new cluster in compute units; by default that of the source cluster, while
        that exists (templated)
    :param collection_status: ``"KEEP"`` loads the collections that were loaded, ``"RELEASE"`` loads none
    :param restore_version: ``"LATEST"`` or ``"ORIGINAL"`` version of Milvus; by default the API decides
    :param password_to: where to store the password: ``"variable:NAME"`` is the Airflow Variable of that name,
        whose value is overwritten (templated)
    :param discard_password: whether to discard the password; the web console can set a new one
    :param wait_for_completion: see :class:`~airflow_provider_zbackup.operators.base.ZillizJobOperator`, also
        for ``deferrable``, ``poll_interval``, ``timeout``, ``on_conflict``, ``conflict_timeout``,
        ``on_uncertain``, ``defer_after``, ``end_from_trigger`` and ``zilliz_conn_id``
    :return: the new cluster, as plain JSON: ``cluster_id``, ``cluster_name``, ``connect_address``,
        ``status``, ``source_cluster_id``, ``backup_id``, ``job_id``, ``username``, ``password_kept``, and
        ``adopted``: whether the restore got no answer and the cluster was found by its name; its password
        is lost then. The result never holds the password
    """

    arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("cluster_id"),
        Argument("backup_id", partial(check_id_or_result, field="backup_id")),
        Argument("cluster_name"),
        Argument("project_id", optional=True),
        Argument("cu_size", check_count, optional=True),
        Argument("collection_status", partial(check_choice, choices=("KEEP", "RELEASE"))),
        Argument("restore_version", partial(check_choice, choices=("LATEST", "ORIGINAL")), optional=True),
        Argument("password_to", optional=True),
        Argument("discard_password", check_flag),
    )
    template_fields: Sequence[str] = (
        "cluster_id",
        "backup_id",
        "cluster_name",
        "project_id",
        "cu_size",
        "password_to",
        "on_uncertain",
        "zilliz_conn_id",
    )

    def __init__(
        self,
        *,
        cluster_id: str,
        backup_id: str | Mapping[str, Any] | XComArg,
        cluster_name: str,
        project_id: str | None = None,
        cu_size: int | str | None = None,
        collection_status: str = "KEEP",
        restore_version: str | None = None,
        password_to: str | None = None,
        discard_password: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster_id = cluster_id
        self.backup_id = backup_id
        self.cluster_name = cluster_name
        self.project_id = project_id
        self.cu_size = cu_size
        self.collection_status = collection_status
        self.restore_version = restore_version
        self.password_to = password_to
        self.discard_password = discard_password
        self.check_arguments()

    def check_arguments(self, *, rendered: bool = False) -> None:
        super().check_arguments(rendered=rendered)
        if (self.password_to is None) != self.discard_password:
            raise ArgumentError(
                "give either password_to or discard_password=True: the password is shown only once"
            )
        kind, _, name = (self.password_to or "variable:-").partition(":")
        if kind != "variable" or not name:
            raise ArgumentError("password_to must be 'variable:NAME': tasks cannot write Airflow connections")

    def submission(self) -> RestoreClusterSubmission:
        from airflow_provider_zbackup.zilliz.flows.restoration import RestoreClusterSubmission

        return RestoreClusterSubmission(
            self.cluster_id,
            id_or_field("backup_id", self.backup_id, "backup_id"),
            self.cluster_name,
            collection_status=self.collection_status,
            project_id=self.project_id,
            cu_size=None if self.cu_size is None else int(self.cu_size),
            restore_version=self.restore_version,
        )

    def keep_secret(self, secret: KeepSecret) -> bool:
        from airflow.providers.common.compat.sdk import mask_secret

        if self.password_to is None or not secret.secret:
            return False
        password = secret.secret.get_secret_value()
        mask_secret(password)
        name = self.password_to.removeprefix("variable:")
        try:
            set_variable(name, password, description=f"Password of {secret.username} in {self.cluster_name}")
        except Exception as error:
            # The new cluster costs money, so do not lose it too. The error may hold the password.
            kind = type(error).__name__
            self.log.error("The password could not be written to the Variable %s: %s.", name, kind)
            return False
        self.log.info("The password of %s is in the Variable %s.", secret.username, name)
        return True

    def submitted(self, record: RestoreClusterRecord) -> dict[str, Any]:
        if not record.password_kept:
            self.log.warning(
                "Nobody has the password of cluster %s. Set one in the web console, or use an API key.",
                record.new_cluster_id,
            )
        return {
            "cluster_id": record.new_cluster_id,
            "cluster_name": self.cluster_name,
            "connect_address": None,
            "status": None,
            "source_cluster_id": self.cluster_id,
            "backup_id": id_or_field("backup_id", self.backup_id, "backup_id"),
            "job_id": record.job_id or None,
            "username": record.username or None,
            "password_kept": record.password_kept,
            "adopted": record.adopted,
        }

    def job_trigger(self, result: dict[str, Any], **timing: Any) -> ZillizRestoredClusterTrigger:
        from airflow_provider_zbackup.triggers.cluster import ZillizRestoredClusterTrigger

        return ZillizRestoredClusterTrigger(result=result, **timing)

    def summary(self, result: dict[str, Any]) -> str:
        return "Cluster {cluster_id} ({cluster_name}) is {status} at {connect_address}.".format_map(result)
