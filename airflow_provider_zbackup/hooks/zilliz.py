"""Hook for Zilliz Cloud: turns an Airflow connection into a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, ClassVar, TypeVar
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_zbackup.get_provider_info import get_provider_info
from airflow_provider_zbackup.hooks import lookup
from airflow_provider_zbackup.hooks.connection import ZillizConnection
from airflow_provider_zbackup.utils.arguments import DEFAULT_CONN_ID
from airflow_provider_zbackup.zilliz import operations
from airflow_provider_zbackup.zilliz.client import AsyncZillizClient, ZillizClient
from airflow_provider_zbackup.zilliz.errors import ZillizError, ZillizTransientError
from airflow_provider_zbackup.zilliz.flows.steps import ATTEMPTS, all_backups, all_clusters, retrying
from airflow_provider_zbackup.zilliz.models import (
    Backup,
    BackupCreation,
    Cluster,
    ClusterRestoration,
    CreateBackupRequest,
    Job,
    Project,
    RestoreClusterRequest,
)
from airflow_provider_zbackup.zilliz.operations import Operation
from airflow_provider_zbackup.zilliz.pacing import CLOCK, Clock, backoff
from airflow_provider_zbackup.zilliz.settings import ClientSettings

T = TypeVar("T")

#: A triggerer reads an Airflow connection again after this long, in seconds.
CONNECTION_LIFETIME = 300.0
#: While reading fails, it keeps the old settings and tries again after this long, in seconds.
CONNECTION_RETRY = 60.0
#: A trigger tries for this long to read its connection, in seconds. It is less than ``BACKSTOP`` of the
#: operators, so that the trigger can still report why it failed.
CONNECTION_PATIENCE = 120.0


class ZillizHook(BaseHook):
    """
    Talks to the control plane of `Zilliz Cloud <https://docs.zilliz.com/reference/restful>`__.

    Each method sends one operation of the API and returns its answer as a model. Reads are retried after
    transient errors; a call that starts a job is sent once.

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

    @asynccontextmanager
    async def async_client(self) -> AsyncIterator[AsyncZillizClient]:
        """
        Give the client for triggers.

        All triggers with the same Airflow connection in one event loop share it, so they share the request
        budget, the settings and the network connections. The last one closes it.
        """
        clients = _shared_clients.setdefault(asyncio.get_running_loop(), {})
        shared = clients.setdefault(self.zilliz_conn_id, _SharedClient())
        shared.users += 1
        try:
            yield await shared.get(self)
        finally:
            shared.users -= 1
            if not shared.users:
                clients.pop(self.zilliz_conn_id)
                await shared.close()

    async def read_settings(self) -> ClientSettings:
        """
        Read the connection once, without blocking the event loop, and return the client's settings.

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
        return ZillizConnection(connection, extra).settings

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
        answer, only the operator finds out what came of it.

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
        """
        request = RestoreClusterRequest(
            project_id=project_id,
            cluster_name=cluster_name,
            cu_size=cu_size,
            collection_status=collection_status,
            restore_version_policy=restore_version,
        )
        return self.client.send(operations.restore_cluster(cluster_id, backup_id, request)).value

    def describe_backup(self, cluster_id: str, backup_id: str) -> Backup:
        """Return a backup: https://docs.zilliz.com/reference/restful/describe-backup-v2"""
        return self._send(operations.describe_backup(cluster_id, backup_id))

    def list_backups(self, *, cluster_id: str | None = None, project_id: str | None = None) -> list[Backup]:
        """Return the backups, of all pages: https://docs.zilliz.com/reference/restful/list-backups-v2"""
        return self.client.run(
            all_backups(cluster_id=cluster_id, project_id=project_id), note=self.log.info
        ).value

    def describe_job(self, job_id: str) -> Job:
        """Return a job: https://docs.zilliz.com/reference/restful/describe-job-v2"""
        return self._send(operations.describe_job(job_id))

    def list_clusters(self) -> list[Cluster]:
        """Return the clusters, of all pages: https://docs.zilliz.com/reference/restful/list-clusters-v2"""
        return self.client.run(all_clusters(), note=self.log.info).value

    def describe_cluster(self, cluster_id: str) -> Cluster:
        """Return a cluster: https://docs.zilliz.com/reference/restful/describe-cluster-v2"""
        return self._send(operations.describe_cluster(cluster_id))

    def list_projects(self) -> list[Project]:
        """Return the projects: https://docs.zilliz.com/reference/restful/list-projects-v2"""
        return self._send(operations.list_projects())

    def _send(self, operation: Operation[T]) -> T:
        return self.client.run(retrying(operation), note=self.log.info).value


def _connection_type() -> dict[str, Any]:
    connection_type: dict[str, Any] = get_provider_info()["connection-types"][0]
    return connection_type


class _SharedClient:
    """One client for all triggers with the same connection in one event loop."""

    def __init__(self) -> None:
        self.users = 0
        self._client: AsyncZillizClient | None = None
        #: Clients to an older address; some triggers still use them.
        self._former: list[AsyncZillizClient] = []
        self._read_at = 0.0
        self._failure: ZillizTransientError | None = None
        self._failed_at = 0.0
        self._lock = asyncio.Lock()

    async def get(self, hook: ZillizHook) -> AsyncZillizClient:
        came_at = hook.clock.monotonic()
        async with self._lock:
            if self._client is None:
                if self._failure is not None and self._failed_at >= came_at:
                    # This failure counts for all that waited for the lock: no need to try for each.
                    raise ZillizError.from_dict(self._failure.to_dict())
                settings = await self._read_patiently(hook, came_at + CONNECTION_PATIENCE)
                self._client = await self._open(hook, settings)
            elif hook.clock.monotonic() - self._read_at > CONNECTION_LIFETIME:
                self._client = await self._read_again(hook, self._client)
            return self._client

    async def _open(self, hook: ZillizHook, settings: ClientSettings) -> AsyncZillizClient:
        client = await AsyncZillizClient.open(settings, refresh=hook.read_settings, clock=hook.clock)
        self._read_at = hook.clock.monotonic()
        return client

    async def _read_patiently(self, hook: ZillizHook, until: float) -> ClientSettings:
        """Read the connection, with retries until a moment, since waits are long."""
        pauses = backoff()
        while True:
            try:
                return await hook.read_settings()
            except ZillizTransientError as error:
                time = hook.clock.monotonic()
                if time >= until:
                    self._failure, self._failed_at = error, time
                    raise
                pause = min(next(pauses), until - time)
                hook.log.warning("%s Trying again in %.1f s.", error, pause)
            await hook.clock.asleep(pause)

    async def _read_again(self, hook: ZillizHook, client: AsyncZillizClient) -> AsyncZillizClient:
        """Read the connection again, and return the client for it: usually the same one."""
        old = client.settings
        try:
            new = await hook.read_settings()
        except ZillizTransientError as error:
            hook.log.warning("%s Keeping the settings read before.", error)
            self._read_at = hook.clock.monotonic() - CONNECTION_LIFETIME + CONNECTION_RETRY
            return client
        if (new.base_url, new.ca_bundle) == (old.base_url, old.ca_bundle):
            client.use(new)
            self._read_at = hook.clock.monotonic()
            return client
        other = await self._open(hook, new)
        self._former.append(client)
        return other

    async def close(self) -> None:
        for client in [*self._former, self._client]:
            if client is not None:
                await client.aclose()


#: By event loop, since a client works only in its own, and by connection id.
_shared_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _SharedClient]] = WeakKeyDictionary()
