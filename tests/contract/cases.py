"""The tasks that start a job, for tests that run through all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.operators.restore import ZillizRestoreClusterOperator
from tests.support import CLUSTER_ID, TaskInstance, World


class Case(ABC):
    """
    A task that starts a job.

    :param routes: the requests that it makes, and where they go
    :param call: the one that starts the job
    """

    routes: ClassVar[dict[str, str]]
    call: ClassVar[str]

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def calls(self) -> list[Any]:
        """The requests that started a job, or should have."""
        return self.world.requests(self.call)

    def task(self, **arguments: Any) -> TaskInstance:
        return TaskInstance(lambda: self.make(**arguments))

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


CASES: dict[str, type[Case]] = {"Create a backup": Create, "Restore a backup into a new cluster": Restore}
