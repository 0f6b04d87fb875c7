"""A small Zilliz Cloud with real state, in which every call may go wrong in some way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

from pydantic import SecretStr

from airflow_provider_zbackup.zilliz.errors import (
    ZillizBadRequestError,
    ZillizConnectionError,
    ZillizNotFoundError,
    ZillizProtocolError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizThrottledError,
)
from airflow_provider_zbackup.zilliz.flows.steps import Reply
from airflow_provider_zbackup.zilliz.models import (
    Backup,
    BackupCreation,
    BackupPage,
    Cluster,
    ClusterPage,
    ClusterRestoration,
    Job,
)
from airflow_provider_zbackup.zilliz.operations import Operation
from tests.zilliz.driver import CLUSTER, Driver

#: How long the client waits for an answer, in seconds.
ANSWER_TIME = 30.0


class Fault(Enum):
    """What may happen to a call."""

    NONE = auto()
    UNSENT = auto()
    THROTTLED = auto()
    REFUSED = auto()
    DOWN = auto()
    LOST = auto()
    TIMED_OUT = auto()
    DONE_AND_LOST = auto()
    DONE_AND_TIMED_OUT = auto()
    DONE_IN_THE_LAST_MOMENT = auto()
    DONE_AND_UNREADABLE = auto()
    DONE_LATER = auto()
    DONE_WITHOUT_ID = auto()


_THROTTLED = ZillizThrottledError("Slow.", retry_after=20.0, unprocessed=True)


@dataclass(frozen=True)
class Work:
    """How the making of a backup goes."""

    seconds: float = 10.0
    end: str = "SUCCESSFUL"


@dataclass(frozen=True)
class Held:
    """A backup in the cloud, by whoever."""

    backup_id: str
    begun: float
    work: Work
    backup_type: str = "CLUSTER"
    collections: tuple[str, ...] = ()
    creation_method: str = "MANUAL"
    ours: bool = False
    kind: str = "backup"
    name: str = ""

    def is_running(self, now: float) -> bool:
        return self.begun <= now < self.begun + self.work.seconds

    def is_there(self, now: float) -> bool:
        """Tell whether it is or will be of use; one whose job ended badly vanishes."""
        return self.is_running(now) or (self.begun <= now and self.work.end == "SUCCESSFUL")


@dataclass
class ModelCloud:
    """
    A cloud, and the worker that talks to it on its clock.

    :param faults: what happens to one call after the other; nothing to those after the last
    :param works: how the making of our backups goes; well for those after the last
    :param colleagues: what others create
    :param list_lag: for how long a new backup is missing in lists
    :param look_up_lag: for how long look-ups know neither a new backup nor its job
    :param lateness: how much later than a lost answer the work may still be done
    :param aliases: the collections behind names that are aliases
    :param offset: how far the server's clock is ahead of the worker's
    """

    faults: Iterable[Fault] = ()
    works: Iterable[Work] = ()
    colleagues: tuple[Held, ...] = ()
    list_lag: float = 0.0
    look_up_lag: float = 0.0
    lateness: float = 0.0
    offset: float = 0.0
    aliases: Mapping[str, str] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._faults: Iterator[Fault] = iter(self.faults)
        self._works: Iterator[Work] = iter(self.works)
        self._coming = sorted(self.colleagues, key=lambda held: held.begun)
        self.worker = Driver(self.answer)

    @property
    def now(self) -> float:
        return self.worker.now

    @property
    def ours(self) -> list[Held]:
        """Return our backups that are or will be of use."""
        return [held for held in self.held if held.ours and held.is_there(self.now)]

    def calm_down(self) -> None:
        """Let nothing go wrong any more."""
        self._faults, self._works = iter(()), iter(())

    def settle(self) -> None:
        """Let everything begin that is due."""
        while self._coming and self._coming[0].begun <= self.now:
            coming = self._coming.pop(0)
            if not self._is_refused(coming):
                self.held.append(coming)

    def answer(self, operation: Operation[Any]) -> Reply[Any]:
        """Answer one call, unless something happens to it."""
        self.settle()
        fault = next(self._faults, Fault.NONE)
        match fault:
            case Fault.UNSENT:
                raise ZillizConnectionError("Unsent.", unprocessed=True)
            case Fault.THROTTLED:
                raise _THROTTLED
            case Fault.REFUSED:
                raise ZillizRefusedError("Refused.", code=12345, unprocessed=True)
            case Fault.DOWN:
                raise ZillizServerError("Down.")
            case Fault.TIMED_OUT:
                self.worker.now += ANSWER_TIME
                raise ZillizConnectionError("Timed out.")
            case Fault.LOST:
                raise ZillizConnectionError("Lost.")
            case Fault.DONE_LATER:
                if not operation.idempotent:
                    self._coming.append(self._new(operation, self.now + self.lateness))
                    self._coming.sort(key=lambda held: held.begun)
                raise ZillizConnectionError("Lost.")
            case Fault.DONE_IN_THE_LAST_MOMENT:
                self.worker.now += ANSWER_TIME
                self.settle()
        value = self._work(operation)
        match fault:
            case Fault.DONE_AND_TIMED_OUT:
                self.worker.now += ANSWER_TIME
                raise ZillizConnectionError("Timed out.")
            case Fault.DONE_AND_LOST | Fault.DONE_IN_THE_LAST_MOMENT:
                raise ZillizConnectionError("Lost.")
            case Fault.DONE_AND_UNREADABLE:
                raise ZillizProtocolError("Garbage.")
            case Fault.DONE_WITHOUT_ID if isinstance(value, BackupCreation | ClusterRestoration):
                value = type(value)()
        return Reply(value, self._server_time(self.now))

    def _server_time(self, time: float) -> datetime:
        """Return a time as the server writes it: by its own clock, in whole seconds."""
        return datetime.fromtimestamp(int(time + self.offset), UTC)

    def _work(self, operation: Operation[Any]) -> Any:
        *_, kind, last = operation.path.split("/")
        query = dict(operation.query)
        match operation.name:
            case "create backup":
                new = self._new(operation, self.now)
                if self._is_refused(new):
                    raise ZillizRefusedError("Failed to create backup.", code=96038, unprocessed=True)
                self.held.append(new)
                return BackupCreation(backup_id=new.backup_id, job_id=f"job-of-{new.backup_id}")
            case "restore cluster":
                new = self._new(operation, self.now)
                if self._is_refused(new):
                    raise ZillizBadRequestError("The name exists.", code=40013, unprocessed=True)
                self.held.append(new)
                return ClusterRestoration(
                    cluster_id=new.backup_id,
                    username="db_admin",
                    password=SecretStr("hidden"),
                    job_id=f"job-of-{new.backup_id}",
                )
            case "list backups":
                shown = tuple(self._show(held, in_list=True) for held in self._page("backup", query))
                return BackupPage(page_size=100, backups=shown)
            case "list clusters":
                clusters = tuple(self._show_cluster(held) for held in self._page("cluster", query))
                return ClusterPage(page_size=100, clusters=clusters)
            case "describe cluster" if last == CLUSTER:
                return Cluster(cluster_id=CLUSTER, project_id="proj-1", cu_size=1, status="RUNNING")
        held = self._look_up(last.removeprefix("job-of-"))
        if kind == "jobs":
            status = "IN_PROGRESS" if held.is_running(self.now) else held.work.end
            return Job(job_id=last, status=status, start_time=self._server_time(held.begun))
        if not held.is_there(self.now):
            raise ZillizNotFoundError("Unknown.", unprocessed=True)
        return self._show_cluster(held) if held.kind == "cluster" else self._show(held)

    def _page(self, kind: str, query: dict[str, str]) -> list[Held]:
        listed = [held for held in self.held if held.kind == kind and held.is_there(self.now)]
        visible = [held for held in listed if self.now - held.begun >= self.list_lag]
        begin = (int(query["currentPage"]) - 1) * 100
        return visible[begin : begin + 100]

    def _new(self, operation: Operation[Any], begun: float) -> Held:
        body = operation.request.body() if operation.request else {}
        return Held(
            backup_id=f"ours-{len(self.held)}",
            begun=begun,
            work=next(self._works, Work()),
            backup_type=body.get("backupType", ""),
            collections=tuple(
                self.aliases.get(name, name)
                for database in body.get("dbCollections", ())
                for name in database["collectionNames"]
            ),
            ours=True,
            kind="cluster" if "clusterName" in body else "backup",
            name=body.get("clusterName", ""),
        )

    def _is_refused(self, new: Held) -> bool:
        """One manual backup at a time, none during an automatic one; no two clusters of one name."""
        if new.kind == "cluster":
            return any(held.name == new.name and held.is_there(self.now) for held in self.held)
        return new.creation_method == "MANUAL" and any(held.is_running(self.now) for held in self.held)

    def _look_up(self, backup_id: str) -> Held:
        for held in self.held:
            if held.backup_id == backup_id and self.now - held.begun >= self.look_up_lag:
                return held
        raise ZillizNotFoundError("Unknown.", unprocessed=True)

    def _show_cluster(self, held: Held) -> Cluster:
        return Cluster(
            cluster_id=held.backup_id,
            cluster_name=held.name,
            project_id="proj-1",
            status="CREATING" if held.is_running(self.now) else "RUNNING",
            create_time=self._server_time(held.begun),
        )

    def _show(self, held: Held, in_list: bool = False) -> Backup:
        collections = [{"collectionName": name} for name in held.collections]
        return Backup.model_validate(
            {
                "backupId": held.backup_id,
                "backupType": held.backup_type,
                "creationMethod": held.creation_method,
                "status": "CREATING" if held.is_running(self.now) else "AVAILABLE",
                "clusterId": CLUSTER,
                "createTime": self._server_time(held.begun),
                "dbCollections": [{"collections": collections}] if collections and not in_list else [],
            }
        )
