"""The state of the emulator, and the rules that all operations share."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict

from airflow_provider_zbackup.emulator import seed
from airflow_provider_zbackup.emulator.backup_list import BackupList
from airflow_provider_zbackup.emulator.checked_model import CheckedModel, Seconds
from airflow_provider_zbackup.emulator.errors import CREATE_FAILED, DOCUMENTED_MESSAGES
from airflow_provider_zbackup.emulator.faults import Faults
from airflow_provider_zbackup.emulator.formats import DAY, Json, new_backup_id, new_job_id
from airflow_provider_zbackup.emulator.jobs import Job, JobPlan
from airflow_provider_zbackup.emulator.records import (
    DEFAULT_DATABASE,
    Backup,
    Cluster,
    Collection,
    Databases,
    Export,
    Policy,
    Project,
    RegionCopy,
    RestoredCollection,
    StorageIntegration,
)
from airflow_provider_zbackup.emulator.request_log import RequestLog

if TYPE_CHECKING:
    from airflow_provider_zbackup.emulator.data_plane.engine import Engine
    from airflow_provider_zbackup.emulator.data_plane.milvus import MilvusData

ConflictScope = Literal["cluster", "organisation"]
CopiesListed = Literal["own_id", "same_id", "not_listed"]
ConsolePolicies = Literal["text", "null", "absent"]
RestorePolicy = Literal["LATEST", "ORIGINAL"]


#: Where the data plane of a cluster is, below the address of the emulator.
DATA_PATH = "/_data/{cluster_id}"

#: How often work on data looks whether its job is at its end.
_LOOK_SECONDS = 0.02


class Settings(CheckedModel):
    """
    Settings that users can change while the emulator runs.

    :param job_seconds: how long a job takes.
    :param list_lag: List Backups shows a new backup only after this many seconds.
    :param job_lag: Describe Job finds a new job only after this many seconds.
    :param conflict_scope: whether one manual backup at a time may run per cluster or per organisation. The
        documentation of Zilliz Cloud says both.
    :param conflict_code: the code of the error for a second backup; the real code is not documented.
    :param conflict_message: the message of that error. The detail replaces ``{}``.
    :param restore_policies: the versions in which a backup younger than 30 days can be restored. An older one
        offers no ``ORIGINAL``.
    :param copies_listed: how List Backups shows copies in other regions, which is not documented. Copies made
        from then on have an ``own_id`` or the ``same_id`` as the original. Or List Backups shows no copies
        (``not_listed``); Describe Backup finds them by their own ids.
    :param copies_block: whether a copy that is being made prevents a new manual backup of the cluster. That
        is not documented either.
    :param load_seconds: how long the loading of a collection takes.
    :param console_policies: how Get Backup Policy shows a schedule that only the console can set, which is
        not documented: its ``text``, ``null``, or neither field (``absent``).
    """

    model_config = ConfigDict(frozen=True)

    job_seconds: Seconds = 10.0
    list_lag: Seconds = 0.0
    job_lag: Seconds = 0.0
    conflict_scope: ConflictScope = "cluster"
    conflict_code: int = CREATE_FAILED
    conflict_message: str = DOCUMENTED_MESSAGES[CREATE_FAILED]
    restore_policies: Sequence[RestorePolicy] = ("LATEST", "ORIGINAL")
    copies_listed: CopiesListed = "own_id"
    copies_block: bool = False
    load_seconds: Seconds = 0.0
    console_policies: ConsolePolicies = "text"


class ControlPlane:
    """
    One organisation of Zilliz Cloud, in memory.

    Nothing runs in the background: each answer follows from the state and the clock. So a test that moves the
    clock knows the answer. Only real data are copied by threads, and a job waits for its thread.

    :param clock: returns the seconds since the epoch.
    :param api_key: the only key that the API accepts.
    :param settings: the settings at the start and after :meth:`reset`.
    :param data: what keeps the data of the Dedicated clusters; None keeps them in memory.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        api_key: str = seed.API_KEY,
        settings: Settings | None = None,
        data: MilvusData | None = None,
    ) -> None:
        self.clock = clock
        self.api_key = api_key
        self.organization_id = seed.ORGANIZATION_ID
        #: Where the emulator is served, for the addresses in answers.
        self.base_url = "http://127.0.0.1"
        # The server and a test use the state from two threads.
        self.lock = threading.RLock()
        self._first_settings = settings or Settings()
        self.data = data
        self.reset()

    def advance(self, seconds: float) -> None:
        """Move the clock forward. A reset does not move it back."""
        with self.lock:
            former = self.clock
            self.clock = lambda: former() + seconds

    def reset(self) -> None:
        """Go back to the state at the start: no backups, jobs, policies, faults or logged requests."""
        with self.lock:
            self.settings = self._first_settings
            self.faults = Faults()
            self.requests = RequestLog()
            self.projects = {project.project_id: project for project in seed.projects()}
            self.clusters: dict[str, Cluster] = {}
            self.storage_integrations = {
                integration.integration_id: integration for integration in seed.storage_integrations()
            }
            self.exports: list[Export] = []
            self.backups = BackupList()
            self.jobs: dict[str, Job] = {}
            self.policies: dict[str, Policy] = {}
            self._name_counts: Counter[str] = Counter()
            if self.data is not None:
                self.data.reset()
            for cluster in seed.clusters():
                self.put_cluster(cluster)

    def configure(self, **changes: Json) -> None:
        """Change some fields of :class:`Settings`."""
        self.settings = Settings(**{**self.settings.model_dump(), **changes})

    def now(self) -> float:
        """Return the time, after the start of all automatic backups that were due until then."""
        with self.lock:
            now = self.clock()
            for cluster_id, policy in self.policies.items():
                cluster = self.clusters[cluster_id]
                if cluster.status(now) == "RUNNING":
                    for moment in policy.due(now):
                        self.start_automatic_backup(cluster, policy, moment)
                policy.started_until = max(policy.started_until, now)
            return now

    def put_project(self, project: Project) -> None:
        """Add a project, or replace the project with the same id."""
        with self.lock:
            self.projects[project.project_id] = project

    def put_cluster(self, cluster: Cluster) -> None:
        """Add a cluster, or replace the cluster with the same id."""
        with self.lock:
            if cluster.project_id not in self.projects:
                raise ValueError(f"project_id: There is no project {cluster.project_id}.")
            self.now()
            if "default" in cluster.databases:
                cluster.databases = {database_name(name): group for name, group in cluster.databases.items()}
            former = self.clusters.get(cluster.cluster_id)
            self.clusters[cluster.cluster_id] = cluster
            is_new = former is None or former.databases is not cluster.databases
            if self.data is not None and cluster.deployment_option == "Dedicated" and is_new:
                self._start_engine(self.data, cluster)

    def put_storage_integration(self, integration: StorageIntegration) -> None:
        """Add a storage integration, or replace the one with the same id."""
        with self.lock:
            if integration.project_id not in self.projects:
                raise ValueError(f"project_id: There is no project {integration.project_id}.")
            self.storage_integrations[integration.integration_id] = integration

    def put_console_policy(
        self, cluster_id: str, *, frequency: str, start_time: str, retention_days: int = 7
    ) -> None:
        """
        Set the policy that somebody made in the console, with a schedule that the API cannot set.

        The emulator starts no backups for it. The setting ``console_policies`` says how the API shows it.

        :param frequency: any text, such as ``0 3 1 * *``.
        :param start_time: any text, such as ``03:00 Europe/Berlin``.
        """
        with self.lock:
            if cluster_id not in self.clusters:
                raise ValueError(f"cluster_id: There is no cluster {cluster_id}.")
            self.policies[cluster_id] = Policy(
                start_time, frequency, retention_days, (), started_until=self.now(), from_console=True
            )

    def put_fleet(
        self, clusters: int, backups_each: int, *, every: float = DAY, backup_type: str = "CLUSTER"
    ) -> list[Cluster]:
        """
        Add clusters with available manual backups, and return the clusters: a large state for benchmarks.

        :param every: this many seconds are between two backups of a cluster, and between the newest one and
            now.
        :param backup_type: ``CLUSTER`` or ``COLLECTION``. Collection backups take the collections by turns.
        """
        with self.lock:
            now = self.now()
            fleet = seed.fleet(clusters, now - every * (backups_each + 1))
            for cluster in fleet:
                self.put_cluster(cluster)
                collections = [item for group in cluster.databases.values() for item in group]
                for number in range(backups_each):
                    self.start_backup(
                        cluster,
                        operation="create_backup",
                        backup_type=backup_type,
                        databases=None
                        if backup_type == "CLUSTER"
                        else {DEFAULT_DATABASE: [collections[number % len(collections)]]},
                        started=now - every * (backups_each - number),
                        plan=JobPlan(seconds=0),
                    )
            return fleet

    def set_cluster_status(self, cluster_id: str, status: str) -> None:
        """
        Suspend, resume or delete a cluster.

        :param status: such as ``STOPPED``, ``RUNNING`` or ``DELETED``. The API no longer shows a deleted
            cluster, but keeps its manual backups.
        """
        with self.lock:
            self.now()
            cluster = self.clusters[cluster_id]
            if cluster.engine is not None and status == "DELETED":
                cluster.engine.drop_in_background()
            elif cluster.engine is not None:
                cluster.engine.set_running(status == "RUNNING")
            cluster.settled_status = status
            cluster.restore = None
            cluster.resumed = 0.0
            if status == "DELETED":
                self.policies.pop(cluster_id, None)
                for backup in self.backups:
                    if (backup.cluster_id, backup.creation_method) == (cluster_id, "AUTO"):
                        self.backups.delete(backup)

    def start_job(self, type: str, cluster_id: str, operation: str, started: float | None = None) -> Job:
        """
        Start a job. A fault rule may change its plan.

        :param operation: the rules for this operation apply.
        :param started: None means now.
        """
        return self._add_job(type, cluster_id, self.faults.take_job(operation), started)

    def end_job(self, job_id: str, status: str, reason: str = "") -> Job:
        """
        End a running job before its time, as a fault of the service or somebody in the console does.

        :param status: ``FAILED`` or ``CANCELED``.
        :raises ValueError: if there is no such job, or it has ended.
        """
        with self.lock:
            now = self.now()
            job = self.jobs.get(job_id)
            # Also a job that has only its last work to do cannot be stopped any more.
            if job is None or job.started > now or (job.has_end and now >= job.arrives):
                raise ValueError(f"job_id: There is no running job {job_id}.")
            self._end_job(job, status, reason)
            return job

    def start_collection_restore(self, cluster: Cluster, targets: Sequence[tuple[str, Collection]]) -> Job:
        """
        Start to restore collections into a cluster.

        :param targets: databases, and collections with their new names.
        """
        with self.lock:
            job = self.start_job("RESTORE", cluster.cluster_id, "restore_collection_backup")
            restored = [RestoredCollection(database, collection, job) for database, collection in targets]
            cluster.restored = [*cluster.restored, *restored]
            if cluster.engine is not None:
                self._work_on(job, cluster.engine.restore(targets))
            return job

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
        Start a backup, even when another one runs.

        :param operation: the fault rules for this operation apply to the job.
        :param creation_method: ``MANUAL`` or ``AUTO``.
        :param backup_type: ``CLUSTER`` or ``COLLECTION``.
        :param databases: the collections to back up; None means all.
        :param copies: the copies to make in other regions.
        :param retention_days: the backup expires after this many days; None means never.
        :param started: None means now.
        :param plan: the plan of the job; None means the plan of the fault rules.
        """
        with self.lock:
            job = self._add_job(
                "BACKUP", cluster.cluster_id, plan or self.faults.take_job(operation), started
            )
            chosen = cluster.databases_at(job.started) if databases is None else databases
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
            if cluster.engine is not None:
                self._work_on(job, self._take_data(backup, cluster.engine, databases))
            return backup

    def start_automatic_backup(
        self, cluster: Cluster, policy: Policy, started: float | None = None
    ) -> Backup:
        """
        Start the backup of a policy, even when another one runs.

        :param started: None means now.
        """
        return self.start_backup(
            cluster,
            operation="automatic_backup",
            creation_method="AUTO",
            copies=policy.copies,
            retention_days=policy.retention_days,
            started=started,
        )

    def conflicting_backup(self, cluster: Cluster) -> Backup | None:
        """Return the running backup that prevents a new manual backup of this cluster."""
        now = self.now()
        whole_organisation = self.settings.conflict_scope == "organisation"
        for backup in self.backups:
            same_cluster = backup.cluster_id == cluster.cluster_id
            in_scope = same_cluster or (whole_organisation and backup.creation_method == "MANUAL")
            counts = backup.copy_of is None or self.settings.copies_block
            if in_scope and counts and backup.status(now) == "CREATING":
                return backup
        return None

    def opens(self, cluster_id: str, token: str) -> bool:
        """Return whether a token opens a cluster: the API key, or a user and a password."""
        cluster = self.clusters.get(cluster_id)
        return token == self.api_key or (cluster is not None and cluster.opens_with(token))

    def connect_address(self, cluster: Cluster) -> str:
        """Return the address of a cluster's data plane."""
        if cluster.engine is not None:
            return cluster.engine.address
        return f"{self.base_url}{DATA_PATH.format(cluster_id=cluster.cluster_id)}"

    def present_clusters(self, project_id: str | None = None) -> list[Cluster]:
        """Return the clusters of one project or of all projects, without the deleted ones."""
        return [
            cluster
            for cluster in self.clusters.values()
            if cluster.settled_status != "DELETED" and project_id in (None, cluster.project_id)
        ]

    def present_backups(self, cluster_id: str | None = None) -> Sequence[Backup]:
        """Return the running and available backups of one cluster or of all clusters, newest first."""
        return self.backups.present(self.now(), cluster_id)

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

    def _end_job(self, job: Job, status: str, reason: str) -> None:
        now = self.now()
        job.end(now, status, reason)
        # What was not made cannot be copied.
        made = {backup.backup_id for backup in self.backups if backup.job is job}
        for backup in self.backups:
            if backup.copy_of in made and backup.created > now:
                self.backups.delete(backup)
        self.backups.forget_times()

    def _start_engine(self, data: MilvusData, cluster: Cluster) -> None:
        cluster_id = cluster.cluster_id
        cluster.engine = data.add_engine(
            cluster_id,
            is_running=lambda: self.clusters[cluster_id].status(self.clock()) == "RUNNING",
            opens=lambda token: self.opens(cluster_id, token),
        )
        if cluster.restore is None:
            cluster.engine.start(cluster.databases)
        else:
            self._work_on(cluster.restore, cluster.engine.start_restored(cluster.databases))

    def _take_data(self, backup: Backup, engine: Engine, wanted: Databases | None) -> Generator[None]:
        taken = engine.take(wanted)
        with self.lock:
            for each in self.backups:
                if backup.backup_id in (each.backup_id, each.copy_of):
                    each.databases = taken
        yield

    def _work_on(self, job: Job, work: Generator[None]) -> None:
        """
        Work on data in a thread, if the job is to succeed.

        :param work: stops once, when all is prepared. It goes on when the job arrives at its end. If the job
            is ended before, the work is closed, and leaves nothing.
        """
        if job.will_succeed:
            job.is_working = True
            threading.Thread(target=self._work, args=(job, work), name=job.job_id, daemon=True).start()

    def _work(self, job: Job, work: Generator[None]) -> None:
        def is_wanted() -> bool:
            with self.lock:
                is_there = self.data is not None and not self.data.is_closed
                return is_there and job.is_working and self.jobs.get(job.job_id) is job

        reason = ""
        try:
            next(work)
            while is_wanted() and self.clock() < job.arrives:
                time.sleep(_LOOK_SECONDS)
            if is_wanted():
                next(work, None)
            else:
                work.close()
        except Exception as error:
            reason = str(error)
        with self.lock:
            if is_wanted() and reason:
                self._end_job(job, "FAILED", reason)
            job.is_working = False

    def _start_copy(self, home: Backup, copy: RegionCopy) -> None:
        """Add a copy with its own region and times. How the real API shows copies is not documented."""
        same_id = self.settings.copies_listed == "same_id"
        job = self.start_job("BACKUP", home.cluster_id, "copy_backup", started=home.job.arrives)
        self.backups.append(
            replace(
                home,
                backup_id=home.backup_id if same_id else new_backup_id(len(self.backups)),
                region_id=copy.region_id,
                job=job,
                expires=_expiry(job.started, copy.retention_days),
                copy_of=home.backup_id,
            )
        )


def _expiry(started: float, retention_days: int | None) -> float | None:
    return None if retention_days is None else started + retention_days * DAY


def database_name(name: str) -> str:
    """Return the name of a database in answers. Users may call the default database ``default``."""
    return DEFAULT_DATABASE if name == "default" else name
