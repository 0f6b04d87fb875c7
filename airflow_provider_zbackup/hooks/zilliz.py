"""Hook for Zilliz Cloud: turns an Airflow connection into a client."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_zbackup.get_provider_info import get_provider_info
from airflow_provider_zbackup.hooks import lookup
from airflow_provider_zbackup.hooks.connection import ZillizConnection
from airflow_provider_zbackup.hooks.shared_client import share_client
from airflow_provider_zbackup.utils.arguments import DEFAULT_CONN_ID
from airflow_provider_zbackup.zilliz import operations
from airflow_provider_zbackup.zilliz.client import AsyncZillizClient, ZillizClient
from airflow_provider_zbackup.zilliz.data_operations import call
from airflow_provider_zbackup.zilliz.errors import ZillizError, ZillizTransientError
from airflow_provider_zbackup.zilliz.flows.collections import open_data_plane
from airflow_provider_zbackup.zilliz.flows.steps import (
    ATTEMPTS,
    Flow,
    all_backups,
    all_clusters,
    all_pages,
    retrying,
)
from airflow_provider_zbackup.zilliz.models import (
    Backup,
    BackupCreation,
    BackupDeletion,
    BackupPolicy,
    Cluster,
    ClusterDrop,
    ClusterRestoration,
    Job,
    Project,
    Region,
    StartedJob,
    StorageIntegration,
)
from airflow_provider_zbackup.zilliz.operations import Operation
from airflow_provider_zbackup.zilliz.pacing import CLOCK, Clock, backoff
from airflow_provider_zbackup.zilliz.requests import (
    CreateBackupRequest,
    ExportBackupRequest,
    RestoreClusterRequest,
    RestoreCollectionsRequest,
    RestoreTarget,
    SetBackupPolicyRequest,
)
from airflow_provider_zbackup.zilliz.settings import ClientSettings

T = TypeVar("T")


class ZillizHook(BaseHook):
    """
    Talks to the control plane of `Zilliz Cloud <https://docs.zilliz.com/reference/restful>`__.

    Each method sends one operation of the API and returns its answer as a model. Reads are retried after
    transient errors; a call that starts a job is sent once.

    A model does not pass through XCom. Give other tasks its plain JSON:

    .. code-block:: python

        @task
        def newest_backups():
            return [backup.model_dump(mode="json") for backup in ZillizHook().list_backups()]

    :param zilliz_conn_id: :ref:`Airflow connection <howto/connection>` of type ``zilliz``
    """

    conn_name_attr = "zilliz_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "zilliz"
    hook_name = "Zilliz Cloud"
    #: The clock of all clients. Tests replace it, so that no test waits.
    clock: ClassVar[Clock] = CLOCK

    def __init__(self, zilliz_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.zilliz_conn_id = zilliz_conn_id

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the form's standard fields, for Airflow before 3.2."""
        behaviour = _connection_type()["ui-field-behaviour"]
        return {
            "hidden_fields": behaviour["hidden-fields"],
            "relabeling": behaviour["relabeling"],
            "placeholders": behaviour["placeholders"],
        }

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's extra fields, for Airflow before 3.2."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from wtforms import BooleanField, StringField

        return {
            name: BooleanField(field["label"], description=field["description"])
            if "boolean" in field["schema"]["type"]
            else StringField(field["label"], description=field["description"], widget=BS3TextFieldWidget())
            for name, field in _connection_type()["conn-fields"].items()
        }

    @cached_property
    def connection(self) -> ZillizConnection:
        """
        The Airflow connection, checked. If Airflow cannot read it, a few retries follow.

        Raises ``ZillizConfigurationError`` if it does not exist or is unusable, and
        ``ZillizConnectionError`` if it cannot be read.
        """
        pauses = backoff()
        for _ in range(ATTEMPTS - 1):
            try:
                return self._read_connection()
            except ZillizTransientError as error:
                pause = next(pauses)
                self.log.warning("%s Trying again in %.1f s.", error, pause)
                self.clock.sleep(pause)
        return self._read_connection()

    def _read_connection(self) -> ZillizConnection:
        try:
            connection = self.get_connection(self.zilliz_conn_id)
            extra = connection.extra_dejson
        except AirflowNotFoundException:
            raise lookup.explain(self.zilliz_conn_id) from None
        except Exception as error:
            raise lookup.cannot_read(self.zilliz_conn_id, error) from None
        return ZillizConnection(connection, extra)

    @cached_property
    def client(self) -> ZillizClient:
        """The client for workers."""
        return ZillizClient(
            self.connection.settings, refresh=lambda: self._read_connection().settings, clock=self.clock
        )

    def get_conn(self) -> ZillizClient:
        """Return :attr:`client`."""
        return self.client

    def async_client(self) -> AbstractAsyncContextManager[AsyncZillizClient]:
        """
        Give the client for triggers.

        All triggers with the same Airflow connection in one event loop share it, so they share the request
        budget, the settings and the network connections.
        """
        return share_client(self)

    async def read_settings(self) -> ClientSettings:
        """Read the connection as :meth:`read_connection` does, and return the client's settings."""
        return (await self.read_connection()).settings

    async def read_connection(self) -> ZillizConnection:
        """
        Read the connection once, without blocking the event loop.

        Raises the same errors as :attr:`connection`.
        """
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
        from asgiref.sync import sync_to_async

        try:
            connection = await get_async_connection(self.zilliz_conn_id, hook=self)
            extra = await get_async_extra_dejson(connection)
        except AirflowNotFoundException:
            raise await sync_to_async(lookup.explain)(self.zilliz_conn_id) from None
        except Exception as error:
            raise lookup.cannot_read(self.zilliz_conn_id, error) from None
        return ZillizConnection(connection, extra)

    def test_connection(self) -> tuple[bool, str]:
        """Make a call that needs a valid API key; for the button in the UI."""
        try:
            with self.client as client:
                clusters = client.run(all_clusters(attempts=1)).value
        except ZillizError as error:
            return False, str(error)
        return True, f"Connected to {self.connection.settings.base_url}: {len(clusters)} cluster(s) visible."

    def create_backup(
        self,
        cluster_id: str,
        collections: Collection[str] | None = None,
        database: str | None = None,
        copy_to_regions: Collection[str] | None = None,
    ) -> BackupCreation:
        """
        Start a backup: `Create Backup <https://docs.zilliz.com/reference/restful/create-backup-v2>`__.

        The call is sent once, because a second one would make a second, billed backup. If a call gets no
        answer, only the operator finds out whether it made one.

        :param cluster_id: cluster to back up
        :param collections: names of collections of one database; ``None`` backs up the whole cluster
        :param database: the collections' database; ``None`` means the default one
        :param copy_to_regions: ids of regions that each get a permanent copy
        :raises ArgumentError: when an argument is unusable; nothing is sent then
        """
        request = CreateBackupRequest.of(collections, database, copy_to_regions)
        return self.client.send(operations.create_backup(cluster_id, request)).value

    def restore_cluster(
        self,
        cluster_id: str,
        backup_id: str,
        *,
        project_id: str,
        cluster_name: str,
        cu_size: int,
        collection_status: str = "KEEP",
        restore_version: str | None = None,
    ) -> ClusterRestoration:
        """
        Restore a backup into a new cluster:
        https://docs.zilliz.com/reference/restful/restore-cluster-backup-v2

        The call is sent once. Only its answer shows the password of the new cluster.

        :param cluster_id: cluster that the backup is of
        :param project_id: project of the new cluster
        :param cluster_name: name of the new cluster, unique in that project
        :param cu_size: size of the new cluster in compute units
        :param collection_status: ``"KEEP"`` loads the collections that were loaded, ``"RELEASE"`` loads none
        :param restore_version: ``"LATEST"`` or ``"ORIGINAL"`` version of Milvus; by default the API decides
        :raises ArgumentError: when an argument is unusable; nothing is sent then
        """
        request = RestoreClusterRequest.of(
            project_id=project_id,
            cluster_name=cluster_name,
            cu_size=cu_size,
            collection_status=collection_status,
            restore_version=restore_version,
        )
        return self.client.send(operations.restore_cluster(cluster_id, backup_id, request)).value

    def restore_collections(
        self,
        cluster_id: str,
        backup_id: str,
        *,
        destination_cluster_id: str | None = None,
        target: RestoreTarget | None = None,
        load: bool = False,
    ) -> StartedJob:
        """
        Restore one collection of a backup, or all of them, into a cluster that is running:
        https://docs.zilliz.com/reference/restful/restore-collection-backup-v2

        The call is sent once. If it gets no answer, nothing in the API tells whether the job was started.

        :param cluster_id: cluster that the backup is of
        :param destination_cluster_id: ``None`` means the same cluster
        :param target: the collection; ``None`` means all, under their own names and not loaded
        :param load: whether to load the collection
        :raises ArgumentError: when an argument is unusable; nothing is sent then
        """
        request = RestoreCollectionsRequest.of(destination_cluster_id or cluster_id, target, load=load)
        return self.client.send(operations.restore_collections(cluster_id, backup_id, request)).value

    def export_backup(
        self, cluster_id: str, backup_id: str, *, integration_id: str, directory: str
    ) -> StartedJob:
        """
        Export the files of a backup: https://docs.zilliz.com/reference/restful/export-backup-files-v2

        The call is sent once. If it gets no answer, nothing in the API tells whether the job was started.

        :param integration_id: id of the storage integration, such as ``integ-xxxxxxxxxxxxxxxxxxxx``
        :param directory: directory in its bucket, such as ``"backups/"``
        :raises ArgumentError: when an argument is unusable; nothing is sent then
        """
        request = ExportBackupRequest.of(integration_id, directory)
        return self.client.send(operations.export_backup(cluster_id, backup_id, request)).value

    def list_storage_integrations(self, project_id: str) -> list[StorageIntegration]:
        """Return the places to which backups of a project can be exported, of all pages."""
        return self._run(
            all_pages(lambda page: operations.list_storage_integrations(project_id=project_id, page=page))
        ).value

    def describe_backup(self, cluster_id: str, backup_id: str) -> Backup:
        """Return a backup: https://docs.zilliz.com/reference/restful/describe-backup-v2"""
        return self._send(operations.describe_backup(cluster_id, backup_id))

    def delete_backup(self, cluster_id: str, backup_id: str) -> BackupDeletion:
        """
        Delete a backup, which cannot be undone:
        https://docs.zilliz.com/reference/restful/delete-backup-v2

        :raises ZillizNotFoundError: when it is already gone, perhaps by an earlier attempt of this call
        """
        return self._send(operations.delete_backup(cluster_id, backup_id))

    def list_backups(self, *, cluster_id: str | None = None, project_id: str | None = None) -> list[Backup]:
        """Return the backups, of all pages: https://docs.zilliz.com/reference/restful/list-backups-v2"""
        return self._run(all_backups(cluster_id=cluster_id, project_id=project_id)).value

    def get_backup_policy(self, cluster_id: str) -> BackupPolicy:
        """Return the policy: https://docs.zilliz.com/reference/restful/get-backup-policy-v2"""
        return self._send(operations.get_backup_policy(cluster_id))

    def set_backup_policy(
        self,
        cluster_id: str,
        *,
        weekdays: Collection[str],
        start_hour: int,
        retention_days: int,
        copies: Mapping[str, int] | None = None,
    ) -> BackupPolicy:
        """
        Enable a policy for automatic backups, whatever policy there was:
        https://docs.zilliz.com/reference/restful/set-backup-policy-v2

        The call is sent once, because each one starts an automatic backup.

        :param weekdays: such as ``["monday", "thursday"]``
        :param start_hour: when the window of two hours begins, in UTC, 0 to 23
        :param retention_days: how long backups are kept, 1 to 30
        :param copies: by region id, how many days copies are kept there, 1 to 30
        :return: only ``cluster_id`` and ``status`` are known
        :raises ArgumentError: when an argument is unusable; nothing is sent then
        """
        request = SetBackupPolicyRequest.of(weekdays, start_hour, retention_days, copies)
        return self.client.send(operations.set_backup_policy(cluster_id, request)).value

    def disable_backup_policy(self, cluster_id: str) -> BackupPolicy:
        """Disable the policy: https://docs.zilliz.com/reference/restful/set-backup-policy-v2"""
        request = SetBackupPolicyRequest(enabled=False)
        return self.client.send(operations.set_backup_policy(cluster_id, request)).value

    def describe_job(self, job_id: str) -> Job:
        """Return a job: https://docs.zilliz.com/reference/restful/describe-job-v2"""
        return self._send(operations.describe_job(job_id))

    def list_clusters(self, *, project_id: str | None = None) -> list[Cluster]:
        """
        Return the clusters, of all pages: https://docs.zilliz.com/reference/restful/list-clusters-v2

        :param project_id: ``None`` means all projects. The API has no such filter, so all are read
        """
        clusters = self._run(all_clusters()).value
        return [cluster for cluster in clusters if project_id in (None, cluster.project_id)]

    def describe_cluster(self, cluster_id: str) -> Cluster:
        """Return a cluster: https://docs.zilliz.com/reference/restful/describe-cluster-v2"""
        return self._send(operations.describe_cluster(cluster_id))

    def call_data_plane(self, cluster_id: str, path: str, body: Mapping[str, Any]) -> Any:
        """
        Call a route of a cluster's `data plane <https://docs.zilliz.com/reference/restful>`__.

        The key goes only to the address that Zilliz Cloud shows for the cluster, and only over HTTPS. The
        call is sent once. Where pymilvus is installed, its ``MilvusClient`` does more.

        .. code-block:: python

            query = {"collectionName": "orders", "outputFields": ["count(*)"]}
            ZillizHook().call_data_plane("in01-xxxxxxxxxxxxxxx", "entities/query", query)

        :param path: of the route, below ``/v2/vectordb/``
        :param body: its fields, as the API names them
        :return: the ``data`` of the answer
        """
        address = self._run(open_data_plane(cluster_id))
        return self.client.send(call(address, path, body)).value

    def drop_cluster(self, cluster_id: str) -> ClusterDrop:
        """
        Drop a cluster: https://docs.zilliz.com/reference/restful/drop-cluster-v2

        The call is sent once, and checks nothing; the operator checks whether the cluster may be dropped.
        """
        return self.client.send(operations.drop_cluster(cluster_id)).value

    def list_projects(self) -> list[Project]:
        """Return the projects: https://docs.zilliz.com/reference/restful/list-projects-v2"""
        return self._send(operations.list_projects())

    def list_regions(self) -> list[Region]:
        """Return the regions: https://docs.zilliz.com/reference/restful/list-cloud-regions-v2"""
        return self._send(operations.list_regions())

    def _send(self, operation: Operation[T]) -> T:
        return self._run(retrying(operation)).value

    def _run(self, flow: Flow[T]) -> T:
        return self.client.run(flow, note=self.log.info, warn=self.log.warning)


def _connection_type() -> dict[str, Any]:
    connection_type: dict[str, Any] = get_provider_info()["connection-types"][0]
    return connection_type
