"""The state of the emulated control plane and the rules that every operation shares."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import ConfigDict, Field

from airflow_provider_zbackup.emulator import seed
from airflow_provider_zbackup.emulator.checked_model import CheckedModel
from airflow_provider_zbackup.emulator.errors import CREATE_FAILED, DOCUMENTED
from airflow_provider_zbackup.emulator.faults import Faults
from airflow_provider_zbackup.emulator.formats import DAY, Json, new_backup_id, new_job_id
from airflow_provider_zbackup.emulator.jobs import Job, JobPlan
from airflow_provider_zbackup.emulator.records import (
    DEFAULT_DATABASE,
    Backup,
    Cluster,
    Databases,
    Policy,
    Project,
    RegionCopy,
)
from airflow_provider_zbackup.emulator.request_log import RequestLog

ConflictScope = Literal["cluster", "organisation"]


class Settings(CheckedModel):
    """
    What can be set from outside, while the emulator runs.

    :param job_seconds: how long a job takes.
    :param list_lag: for how many seconds List Backups does not know a new backup yet.
    :param job_lag: for how many seconds Describe Job does not know a new job yet.
    :param conflict_scope: within what only one manual backup may run, ``cluster`` or ``organisation``. The
        documents contradict each other here.
    :param conflict_code: the code of that refusal; the real one is not documented.
    :param conflict_message: its message; ``{}`` stands for the detail.
    """

    model_config = ConfigDict(frozen=True)

    job_seconds: float = Field(default=10.0, ge=0)
    list_lag: float = Field(default=0.0, ge=0)
    job_lag: float = Field(default=0.0, ge=0)
    conflict_scope: ConflictScope = "cluster"
    conflict_code: int = CREATE_FAILED
    conflict_message: str = DOCUMENTED[CREATE_FAILED]


class ControlPlane:
    """
    A Zilliz Cloud organisation in memory. What it shows follows from what it keeps and from the clock alone:
    nothing in it runs by itself.

    :param clock: returns the seconds since the epoch.
    :param api_key: the one key that is let in.
    :param settings: what it starts with, and returns to on :meth:`reset`.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        api_key: str = seed.API_KEY,
        settings: Settings | None = None,
    ) -> None:
        self.clock = clock
        self.api_key = api_key
        self.organization_id = seed.ORGANIZATION_ID
        # The server answers in a thread of its own while tests look in from theirs.
        self.lock = threading.RLock()
        self._first_settings = settings or Settings()
        self.reset()

    def reset(self) -> None:
        """Go back to the seeded state: no backups, jobs, policies, faults or logged requests."""
        with self.lock:
            self.settings = self._first_settings
            self.faults = Faults()
            self.requests = RequestLog()
            self.projects = {project.project_id: project for project in seed.projects()}
            self.clusters = {cluster.cluster_id: cluster for cluster in seed.clusters()}
            self.storage_integrations = seed.storage_integrations()
            self.backups: list[Backup] = []
            self.jobs: dict[str, Job] = {}
            self.policies: dict[str, Policy] = {}
            self._name_counts: Counter[str] = Counter()

    def configure(self, **changes: Json) -> None:
        """
        Change some of the settings.

        :param changes: fields of :class:`Settings`.
        """
        self.settings = Settings(**{**self.settings.model_dump(), **changes})

    def now(self) -> float:
        """Return the moment, after everything that was due until then has been done."""
        with self.lock:
            now = self.clock()
            for cluster_id, policy in self.policies.items():
                cluster = self.clusters[cluster_id]
                if cluster.status(now) == "RUNNING":
                    for moment in policy.due(now):
                        self.start_automatic_backup(cluster, policy, moment)
                policy.served = max(policy.served, now)
            return now

    def put_project(self, project: Project) -> None:
        """Add a project, or replace the one with its id."""
        with self.lock:
            self.projects[project.project_id] = project

    def put_cluster(self, cluster: Cluster) -> None:
        """Add a cluster, or replace the one with its id."""
        with self.lock:
            if cluster.project_id not in self.projects:
                raise ValueError(f"project_id: There is no project {cluster.project_id}.")
            self.now()
            self.clusters[cluster.cluster_id] = cluster

    def set_cluster_status(self, cluster_id: str, status: str) -> None:
        """
        Suspend a cluster, wake it up, delete it.

        :param cluster_id: the cluster.
        :param status: such as ``STOPPED``, ``RUNNING``, or ``DELETED``, after which the API does not know it
            any more; its manual backups stay.
        """
        with self.lock:
            self.now()
            cluster = self.clusters[cluster_id]
            cluster.settled_status = status
            cluster.restore = None
            if status == "DELETED":
                self.policies.pop(cluster_id, None)
                for backup in self.backups:
                    if (backup.cluster_id, backup.creation_method) == (cluster_id, "AUTO"):
                        backup.deleted = True

    def start_job(self, type: str, cluster_id: str, operation: str, started: float | None = None) -> Job:
        """
        Start a job; a fault rule may decide what comes of it.

        :param type: its documented type.
        :param cluster_id: the cluster it works on.
        :param operation: the operation whose fault rules apply.
        :param started: when, if not now.
        """
        return self._add_job(type, cluster_id, self.faults.take_job(operation), started)

    def start_backup(
        self,
        cluster: Cluster,
        *,
        operation: str,
        creation_method: str = "MANUAL",
        backup_type: str = "CLUSTER",
        databases: Databases | None = None,
        copies: Sequence[RegionCopy] = (),
        retention_days: int | None = None,
        started: float | None = None,
        plan: JobPlan | None = None,
    ) -> Backup:
        """
        Start a backup, whatever else is running.

        :param cluster: what to back up.
        :param operation: the operation whose fault rules apply to its job.
        :param creation_method: ``MANUAL`` or ``AUTO``.
        :param backup_type: ``CLUSTER`` or ``COLLECTION``.
        :param databases: the collections to back up, if not all.
        :param copies: the wanted copies in other regions.
        :param retention_days: after how many days it goes; None for never.
        :param started: when, if not now.
        :param plan: what comes of its job, if not what the fault rules say.
        """
        with self.lock:
            chosen = cluster.databases if databases is None else databases
            job = self._add_job(
                "BACKUP", cluster.cluster_id, plan or self.faults.take_job(operation), started
            )
            collections = [collection for group in chosen.values() for collection in group]
            named_after = cluster.cluster_name if backup_type == "CLUSTER" else collections[0].name
            self._name_counts[named_after] += 1
            backup = Backup(
                backup_id=new_backup_id(len(self.backups)),
                backup_name=f"{named_after}_backup{self._name_counts[named_after]}",
                backup_type=backup_type,
                creation_method=creation_method,
                cluster_id=cluster.cluster_id,
                cluster_name=cluster.cluster_name,
                project_id=cluster.project_id,
                region_id=cluster.region_id,
                databases={database: tuple(group) for database, group in chosen.items()},
                job=job,
                expires=_expiry(job.started, retention_days),
            )
            self.backups.append(backup)
            if job.will_succeed:
                for copy in copies:
                    self._start_copy(backup, copy)
            return backup

    def start_automatic_backup(
        self, cluster: Cluster, policy: Policy, started: float | None = None
    ) -> Backup:
        """
        Start the backup that a policy asks for; no other backup keeps it from starting.

        :param cluster: what to back up.
        :param policy: how long to keep it, and where to copy it.
        :param started: when, if not now.
        """
        return self.start_backup(
            cluster,
            operation="automatic_backup",
            creation_method="AUTO",
            copies=policy.copies,
            retention_days=policy.retention_days,
            started=started,
        )

    def backup_in_the_way_of(self, cluster: Cluster) -> Backup | None:
        """
        Return the running backup because of which no manual one may start on this cluster.

        Cross-region copies do not count: they are jobs of their own that begin when the backup is done.

        :param cluster: the cluster to back up.
        """
        now = self.now()
        whole_organisation = self.settings.conflict_scope == "organisation"
        for backup in self.backups:
            same_cluster = backup.cluster_id == cluster.cluster_id
            in_scope = same_cluster or (whole_organisation and backup.creation_method == "MANUAL")
            if in_scope and backup.copy_of is None and backup.status(now) == "CREATING":
                return backup
        return None

    def present_clusters(self, project_id: str | None = None) -> list[Cluster]:
        """Return the clusters that are not deleted, of one project or of all."""
        return [
            cluster
            for cluster in self.clusters.values()
            if cluster.settled_status != "DELETED" and project_id in (None, cluster.project_id)
        ]

    def present_backups(self) -> list[Backup]:
        """Return the backups that List Backups may show, newest first."""
        now = self.now()
        present = [backup for backup in self.backups if backup.status(now) in ("CREATING", "AVAILABLE")]
        return sorted(present, key=lambda backup: backup.created, reverse=True)

    def _add_job(self, type: str, cluster_id: str, plan: JobPlan, started: float | None) -> Job:
        job = Job(
            job_id=new_job_id(),
            type=type,
            cluster_id=cluster_id,
            started=self.clock() if started is None else started,
            seconds=self.settings.job_seconds if plan.seconds is None else plan.seconds,
            plan=plan,
        )
        self.jobs[job.job_id] = job
        return job

    def _start_copy(self, home: Backup, copy: RegionCopy) -> None:
        """How copies look in the API is not documented; here they differ in id, region and times."""
        job = self.start_job("BACKUP", home.cluster_id, "copy_backup", started=home.job.arrives)
        self.backups.append(
            replace(
                home,
                backup_id=new_backup_id(len(self.backups)),
                region_id=copy.region_id,
                job=job,
                expires=_expiry(job.started, copy.retention_days),
                copy_of=home.backup_id,
            )
        )


def _expiry(started: float, retention_days: int | None) -> float | None:
    return None if retention_days is None else started + retention_days * DAY


def database_name(name: str) -> str:
    """
    Return a database's name as the API shows it: the one that Milvus calls ``default`` has none.

    :param name: as a request gives it.
    """
    return DEFAULT_DATABASE if name == "default" else name
