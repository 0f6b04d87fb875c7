"""The tasks that start a job, for tests that run through all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_zbackup.emulator.seed import STORAGE_INTEGRATION_ID
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator, ZillizExportBackupOperator
from airflow_provider_zbackup.operators.restore import (
    ZillizRestoreClusterOperator,
    ZillizRestoreCollectionsOperator,
)
from airflow_provider_zbackup.utils.errors import find_zilliz_error
from airflow_provider_zbackup.zilliz.errors import ZillizUncertainError
from tests.support import CLUSTER_ID, TaskInstance, World


class Case(ABC):
    """
    A task that starts a job.

    :param routes: the requests that it makes, and where they go
    :param call: the one that starts the job
    :param leaves_traces: whether the result of a call can be found without its answer
    """

    routes: ClassVar[dict[str, str]]
    call: ClassVar[str]
    leaves_traces: ClassVar[bool] = True

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def calls(self) -> list[Any]:
        """The requests that started a job, or should have."""
        return self.world.requests(self.call)

    def task(self, **arguments: Any) -> TaskInstance:
        return TaskInstance(lambda: self.make(**arguments))

    def run_again(self, task: TaskInstance, **arguments: Any) -> dict[str, Any] | None:
        """
        Retry a task, and answer its question as a user would.

        :param arguments: those of the task
        :return: ``None`` if the user has found the job, and marks the task as success
        """
        try:
            result: dict[str, Any] = task.run()
            return result
        except AirflowFailException as error:
            if self.leaves_traces or not isinstance(find_zilliz_error(error), ZillizUncertainError):
                raise
        if self.made():
            return None
        told = self.task(on_uncertain="retry", **arguments)
        told.store = task.store
        result = told.run()
        return result

    def check_made_once(self, result: dict[str, Any] | None) -> None:
        """Check that there is one job, and that it is the one that the task says it has made."""
        made = self.made()
        assert len(made) == 1
        assert result is None or made == [self.made_id(result)]

    @abstractmethod
    def make(self, **arguments: Any) -> Any:
        """Return the operator."""

    @abstractmethod
    def made(self) -> list[str]:
        """Return the ids of what there is of such jobs."""

    @abstractmethod
    def made_id(self, result: dict[str, Any]) -> str:
        """Return the id of what the task says that it has made."""


class Create(Case):
    call = "create_backup"
    routes: ClassVar[dict[str, str]] = {
        "list_backups": "/v2/backups",
        "create_backup": "/v2/clusters/[^/]+/backups/create",
        "describe_job": "/v2/jobs/[^/]+",
        "describe_backup": "/v2/clusters/[^/]+/backups/backup[^/]+",
    }

    def make(self, **arguments: Any) -> Any:
        return ZillizCreateBackupOperator(task_id="task", cluster_id=CLUSTER_ID, **arguments)

    def made(self) -> list[str]:
        assert sum(request.work_done for request in self.calls) == len(self.world.backups())
        now = self.world.clock.now
        alive = ("CREATING", "AVAILABLE")
        return [backup.backup_id for backup in self.world.backups() if backup.status(now) in alive]

    def made_id(self, result: dict[str, Any]) -> str:
        assert result["status"] == "AVAILABLE"
        return str(result["backup_id"])


class CreateOfCollections(Create):
    def make(self, **arguments: Any) -> Any:
        return super().make(collections=["medium_articles"], **arguments)


class Restore(Case):
    call = "restore_cluster_backup"
    routes: ClassVar[dict[str, str]] = {
        "describe_cluster": "/v2/clusters/[^/]+",
        "list_clusters": "/v2/clusters",
        "restore_cluster_backup": "/v2/clusters/[^/]+/backups/[^/]+/restoreCluster",
        "describe_job": "/v2/jobs/[^/]+",
    }

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.backup_id = world.someone_backs_up(seconds=0).backup_id
        world.clock.sleep(1)

    def make(self, **arguments: Any) -> Any:
        defaults: dict[str, Any] = {
            "cluster_id": CLUSTER_ID,
            "backup_id": self.backup_id,
            "cluster_name": "restored",
            "discard_password": True,
        }
        return ZillizRestoreClusterOperator(task_id="task", **defaults | arguments)

    def made(self) -> list[str]:
        clusters = self.world.control_plane.clusters.values()
        made = [cluster.cluster_id for cluster in clusters if cluster.cluster_name == "restored"]
        assert sum(request.work_done for request in self.calls) == len(made)
        return made

    def made_id(self, result: dict[str, Any]) -> str:
        assert result["status"] == "RUNNING"
        return str(result["cluster_id"])


class RestoreCollections(Case):
    call = "restore_collection_backup"
    leaves_traces = False
    routes: ClassVar[dict[str, str]] = {
        "describe_backup": "/v2/clusters/[^/]+/backups/backup[^/]+",
        "describe_cluster": "/v2/clusters/[^/]+",
        "restore_collection_backup": "/v2/clusters/[^/]+/backups/[^/]+/restoreCollection",
        "describe_job": "/v2/jobs/[^/]+",
    }

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.backup_id = world.someone_backs_up(seconds=0).backup_id
        world.clock.sleep(1)

    def make(self, **arguments: Any) -> Any:
        defaults: dict[str, Any] = {
            "cluster_id": CLUSTER_ID,
            "backup_id": self.backup_id,
            "collections": ["medium_articles"],
            "suffix": "_restored",
        }
        return ZillizRestoreCollectionsOperator(task_id="task", **defaults | arguments)

    def made(self) -> list[str]:
        cluster = self.world.control_plane.clusters[CLUSTER_ID]
        assert sum(request.work_done for request in self.calls) == len(cluster.restored)
        return [each.job.job_id for each in cluster.restored]

    def made_id(self, result: dict[str, Any]) -> str:
        assert result["status"] == "SUCCESSFUL"
        return str(result["job_id"])


class Export(Case):
    call = "export_backup_files"
    leaves_traces = False
    routes: ClassVar[dict[str, str]] = {
        "describe_backup": "/v2/clusters/[^/]+/backups/backup[^/]+",
        "export_backup_files": "/v2/clusters/[^/]+/backups/[^/]+/export",
        "describe_job": "/v2/jobs/[^/]+",
    }

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.backup_id = world.someone_backs_up(seconds=0).backup_id
        world.clock.sleep(1)

    def make(self, **arguments: Any) -> Any:
        defaults: dict[str, Any] = {
            "cluster_id": CLUSTER_ID,
            "backup_id": self.backup_id,
            "integration_id": STORAGE_INTEGRATION_ID,
            "directory": "nightly/",
        }
        return ZillizExportBackupOperator(task_id="task", **defaults | arguments)

    def made(self) -> list[str]:
        exports = self.world.control_plane.exports
        assert sum(request.work_done for request in self.calls) == len(exports)
        return [export.job.job_id for export in exports]

    def made_id(self, result: dict[str, Any]) -> str:
        assert result["status"] == "SUCCESSFUL"
        return str(result["job_id"])


CASES: dict[str, type[Case]] = {
    "Create a backup": Create,
    "Restore a backup into a new cluster": Restore,
    "Restore a collection": RestoreCollections,
    "Export a backup": Export,
}
