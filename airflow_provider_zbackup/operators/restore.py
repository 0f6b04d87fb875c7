"""Operators that restore backups of Zilliz Cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_zbackup.assets.zilliz import make_uri
from airflow_provider_zbackup.operators.base import ZillizJobOperator
from airflow_provider_zbackup.utils.arguments import (
    Argument,
    check_choice,
    check_count,
    check_flag,
    check_id_or_result,
    check_renaming,
    id_or_field,
    is_rendered_later,
)
from airflow_provider_zbackup.utils.assets import Act, Effect
from airflow_provider_zbackup.version_compat import set_variable
from airflow_provider_zbackup.zilliz.checks import ArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_zbackup.triggers.cluster import ZillizRestoredClusterTrigger
    from airflow_provider_zbackup.triggers.job import ZillizStartedJobTrigger
    from airflow_provider_zbackup.zilliz.flows.collection_restoration import (
        RestoreCollectionsRecord,
        RestoreCollectionsSubmission,
    )
    from airflow_provider_zbackup.zilliz.flows.restoration import (
        RestoreClusterRecord,
        RestoreClusterSubmission,
    )
    from airflow_provider_zbackup.zilliz.flows.steps import StoreSecret
    from airflow_provider_zbackup.zilliz.requests import RestoreTarget

#: Pauses after the attempts to store a password, in seconds: it is shown only once, so there are several.
PASSWORD_PAUSES = (1.0, 4.0, 10.0, 15.0, 30.0, 0.0)


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
        may be lost then. The result never holds the password. As soon as the new cluster is being made, its
        ``cluster_id`` and ``cluster_name`` are also in the XCom ``cluster``: so it can be dropped even if the
        restore fails
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
        if self.password_to is None or (not rendered and is_rendered_later(self.password_to)):
            return
        kind, _, name = self.password_to.partition(":")
        if kind != "variable" or not name:
            raise ArgumentError("password_to must be 'variable:NAME': tasks cannot write Airflow connections")
        if is_rendered_later(name):
            raise ArgumentError(f"password_to still holds a template after rendering: {name!r}")

    def submissions(self) -> Sequence[RestoreClusterSubmission]:
        from airflow_provider_zbackup.zilliz.flows.restoration import RestoreClusterSubmission

        return [
            RestoreClusterSubmission(
                self.cluster_id,
                id_or_field("backup_id", self.backup_id, "backup_id"),
                self.cluster_name,
                collection_status=self.collection_status,
                project_id=self.project_id,
                cu_size=None if self.cu_size is None else int(self.cu_size),
                restore_version=self.restore_version,
            )
        ]

    def store_secret(self, secret: StoreSecret) -> bool:
        from airflow.providers.common.compat.sdk import mask_secret

        if self.password_to is None or not secret.secret:
            return False
        password = secret.secret.get_secret_value()
        mask_secret(password)
        name = self.password_to.removeprefix("variable:")
        description = f"Password of {secret.username} in {self.cluster_name}"
        for pause in PASSWORD_PAUSES:
            try:
                set_variable(name, password, description=description)
            except Exception as error:
                # The error may hold the password.
                kind = type(error).__name__
                self.log.error("The password could not be written to the Variable %s: %s.", name, kind)
                self.hook.clock.sleep(pause)
            else:
                self.log.info("The password of %s is in the Variable %s.", secret.username, name)
                return True
        # The new cluster costs money, so do not lose it too.
        return False

    def submitted(self, record: RestoreClusterRecord) -> dict[str, Any]:
        if not record.password_kept and record.adopted and self.password_to:
            self.log.warning(
                "The password of cluster %s may be lost: this try did not get it. If an earlier try did, it "
                "is in the Variable %s. If not, set one in the web console, or use an API key.",
                record.new_cluster_id,
                self.password_to.removeprefix("variable:"),
            )
        elif not record.password_kept:
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

    def announce(self, context: Context, record: RestoreClusterRecord, result: dict[str, Any]) -> None:
        value = {name: result[name] for name in ("cluster_id", "cluster_name")}
        context["ti"].xcom_push(key="cluster", value=value)

    def job_trigger(self, result: dict[str, Any], **timing: Any) -> ZillizRestoredClusterTrigger:
        from airflow_provider_zbackup.triggers.cluster import ZillizRestoredClusterTrigger

        return ZillizRestoredClusterTrigger(result=result, **timing)

    def effect(self, result: Mapping[str, Any]) -> Effect:
        uris = [make_uri(result["cluster_id"])] if "cluster_id" in result else []
        facts = {
            "backup_id": id_or_field("backup_id", self.backup_id, "backup_id"),
            **{name: result.get(name) for name in ("job_id", "cluster_id", "cluster_name")},
        }
        return Effect(Act.RESTORE, self.cluster_id, uris, facts)

    def summary(self, result: dict[str, Any]) -> str:
        return "Cluster {cluster_id} ({cluster_name}) is {status} at {connect_address}.".format_map(result)


class ZillizRestoreCollectionsOperator(ZillizJobOperator["RestoreCollectionsRecord"]):
    """
    Restore collections of a backup into a cluster that is running, beside what it holds.

    The API restores one collection per call, so the task starts one job after the other, in a worker, which
    ``end_from_trigger`` does not change. A retry goes on where the earlier try ended. A collection whose name
    is taken is refused by Zilliz Cloud: give it another name with ``suffix`` or a mapping, or drop the old
    one first.

    If a call gets no answer, nothing in the API shows whether it started a restore. Then the task fails and
    says what to check; ``on_uncertain`` is the answer.

    .. seealso:: `Restore Collection Backup
        <https://docs.zilliz.com/reference/restful/restore-collection-backup-v2>`__

    :param cluster_id: id of the cluster that the backup is of (templated)
    :param backup_id: id of the backup, or the whole result of a
        :class:`~airflow_provider_zbackup.operators.backup.ZillizCreateBackupOperator` (templated)
    :param destination_cluster_id: id of the cluster to restore into; by default ``cluster_id`` (templated)
    :param collections: names of the collections, or a mapping of old names to new ones; by default all
        collections of the backup are restored (templated)
    :param suffix: what is added to the name of each restored collection, such as ``"_restored"`` (templated)
    :param database: database of the collections in the backup; by default the default database, or all of
        them if no ``collections`` are given (templated)
    :param destination_database: database to restore into, which must exist; by default the same (templated)
    :param load: whether to load the restored collections, so that they can be searched
    :param wait_for_completion: see :class:`~airflow_provider_zbackup.operators.base.ZillizJobOperator`, also
        for ``deferrable``, ``poll_interval``, ``timeout`` (of each job), ``on_conflict``,
        ``conflict_timeout``, ``on_uncertain``, ``defer_after``, ``end_from_trigger`` and ``zilliz_conn_id``
    :return: what was restored, as plain JSON: ``cluster_id`` (the destination), ``source_cluster_id``,
        ``backup_id``, ``status`` and ``job_id`` of the last job, and ``collections``: for each its
        ``database``, ``name``, ``restored_as`` and ``job_id``. ``database`` is where it is now; null is the
        default database
    """

    arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("cluster_id"),
        Argument("backup_id", partial(check_id_or_result, field="backup_id")),
        Argument("destination_cluster_id", optional=True),
        Argument("collections", partial(check_renaming, of="collection names"), optional=True, limits=True),
        Argument("suffix", optional=True),
        Argument("database", optional=True),
        Argument("destination_database", optional=True),
        Argument("load", check_flag),
    )
    template_fields: Sequence[str] = (
        "cluster_id",
        "backup_id",
        "destination_cluster_id",
        "collections",
        "suffix",
        "database",
        "destination_database",
        "on_uncertain",
        "zilliz_conn_id",
    )

    def __init__(
        self,
        *,
        cluster_id: str,
        backup_id: str | Mapping[str, Any] | XComArg,
        destination_cluster_id: str | None = None,
        collections: Sequence[str] | Mapping[str, str | XComArg] | XComArg | None = None,
        suffix: str | None = None,
        database: str | None = None,
        destination_database: str | None = None,
        load: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster_id = cluster_id
        self.backup_id = backup_id
        self.destination_cluster_id = destination_cluster_id
        self.collections: Any = collections
        self.suffix = suffix
        self.database = database
        self.destination_database = destination_database
        self.load = load
        self.check_arguments()

    def check_arguments(self, *, rendered: bool = False) -> None:
        super().check_arguments(rendered=rendered)
        if isinstance(self.collections, Mapping) and self.suffix is not None:
            raise ArgumentError("give new names either by a mapping in collections or by suffix")

    def submissions(self) -> Sequence[RestoreCollectionsSubmission]:
        from airflow_provider_zbackup.zilliz.flows.collection_restoration import (
            RestoreCollectionsSubmission,
        )

        backup_id = id_or_field("backup_id", self.backup_id, "backup_id")
        named = self._targets(backup_id)
        targets: list[RestoreTarget | None] = [*named] or [None]
        return [
            RestoreCollectionsSubmission(
                self.cluster_id,
                backup_id,
                self.destination_cluster_id or self.cluster_id,
                target,
                load=self.load,
                siblings=named,
            )
            for target in targets
        ]

    def _targets(self, backup_id: str) -> list[RestoreTarget]:
        """Return where each collection is restored to; none means that all keep their names."""
        from airflow_provider_zbackup.zilliz.flows.collection_restoration import list_targets

        naming = self._naming()
        if self.collections is not None:
            return list_targets(self.collections, **naming)
        return self._held_targets(backup_id) if any(naming.values()) or self.load else []

    def _held_targets(self, backup_id: str) -> list[RestoreTarget]:
        """Return where each collection that the backup shows is restored to."""
        from airflow_provider_zbackup.zilliz.flows.collection_restoration import list_all_targets

        return self.run_flow(list_all_targets(self.cluster_id, backup_id, **self._naming()))

    def _naming(self) -> dict[str, Any]:
        return {
            "suffix": self.suffix or "",
            "database": self.database,
            "destination_database": self.destination_database,
        }

    def submitted(self, record: RestoreCollectionsRecord) -> dict[str, Any]:
        return {
            "cluster_id": self.destination_cluster_id or self.cluster_id,
            "source_cluster_id": self.cluster_id,
            "backup_id": id_or_field("backup_id", self.backup_id, "backup_id"),
            "job_id": record.job_id,
            "status": None,
            "collections": [
                {
                    "database": target.destination_database,
                    "name": target.name,
                    "restored_as": target.restored_as,
                    "job_id": record.job_id,
                }
                for target in record.targets
            ],
        }

    def job_trigger(self, result: dict[str, Any], **timing: Any) -> ZillizStartedJobTrigger:
        from airflow_provider_zbackup.triggers.job import ZillizStartedJobTrigger

        return ZillizStartedJobTrigger(result=result, **timing)

    def effect(self, result: Mapping[str, Any]) -> Effect:
        cluster_id = self.destination_cluster_id or self.cluster_id
        restored = result.get("collections", ())
        uris = [make_uri(cluster_id, item["database"], item["restored_as"]) for item in restored]
        facts = {
            "backup_id": id_or_field("backup_id", self.backup_id, "backup_id"),
            "job_id": result.get("job_id"),
        }
        return Effect(
            Act.RESTORE, self.cluster_id, uris or [make_uri(cluster_id)], facts | {"cluster_id": cluster_id}
        )

    def summary(self, result: dict[str, Any]) -> str:
        names = ", ".join(item["restored_as"] for item in result["collections"])
        return f"Restored {names or 'all collections'} in cluster {result['cluster_id']}."

    def task_result(self, results: list[dict[str, Any]]) -> dict[str, Any]:
        return results[-1] | {"collections": [item for result in results for item in result["collections"]]}
