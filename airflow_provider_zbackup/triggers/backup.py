"""Triggers that wait for a backup, for its copies, for a fresh one, and for none to be running."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow_provider_zbackup.triggers.base import ZillizResultTrigger, ZillizTrigger
from airflow_provider_zbackup.zilliz.flows.copies import wait_for_copies
from airflow_provider_zbackup.zilliz.flows.freshness import FreshnessRule, wait_for_fresh_backup
from airflow_provider_zbackup.zilliz.flows.polling import Wait
from airflow_provider_zbackup.zilliz.flows.steps import Flow
from airflow_provider_zbackup.zilliz.flows.waiting import (
    check_cluster,
    check_project,
    wait_for_backup,
    wait_until_free,
)
from airflow_provider_zbackup.zilliz.models import Backup


class ZillizBackupTrigger(ZillizResultTrigger[Backup]):
    """
    Waits until a backup's job has ended well and the backup is AVAILABLE.

    :param result: has ``cluster_id``, ``backup_id`` and ``job_id``; without a job id only the backup's status
        counts
    """

    facts = frozenset({"backup_name", "backup_type", "status", "size", "region_id", "create_time"})

    def end(self, wait: Wait) -> Flow[Backup | None]:
        result = self.result
        return wait_for_backup(result["cluster_id"], result["backup_id"], wait, job_id=result["job_id"])


class ZillizCopiedBackupTrigger(ZillizBackupTrigger):
    """
    Waits until a backup is AVAILABLE, and then for its copies in other regions.

    The backup counts without them: when their time is over, the trigger warns and gives what it knows.

    :param copy_to_regions: ids of those regions
    :param copies_timeout: how long to wait for the copies after the backup's job has ended, in seconds
    :param copies_deadline: when to give them up, whenever that job ended
    """

    def __init__(
        self, *, copy_to_regions: Sequence[str], copies_timeout: float, copies_deadline: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.copy_to_regions = copy_to_regions
        self.copies_timeout = copies_timeout
        self.copies_deadline = copies_deadline

    @property
    def latest_end(self) -> float:
        return max(self.deadline, self.copies_deadline)

    def serialized_fields(self) -> dict[str, Any]:
        return {
            **super().serialized_fields(),
            "copy_to_regions": list(self.copy_to_regions),
            "copies_timeout": self.copies_timeout,
            "copies_deadline": self.copies_deadline,
        }

    def flow(self, wait: Wait) -> Flow[dict[str, Any]]:
        home = yield from self.end(wait)
        if home is None:
            return {"result": None}
        result = self.completed(home)
        copies = yield from wait_for_copies(
            home.model_copy(update={"cluster_id": result["cluster_id"]}),
            self.copy_to_regions,
            wait._replace(deadline=self.copies_deadline),
            longest=self.copies_timeout,
            job_id=result["job_id"],
        )
        if copies is None:
            return {"result": None}
        if unconfirmed := [copy["region_id"] for copy in copies if copy["status"] != "AVAILABLE"]:
            self.log.warning(
                "No copy of backup %s is confirmed in %s. The backup itself is AVAILABLE. "
                "Look for the copies in Zilliz Cloud's web console, on the page Jobs.",
                result["backup_id"],
                ", ".join(unconfirmed),
            )
        return {"result": result | {"copies": copies}}


class ZillizBackupFreshnessTrigger(ZillizTrigger):
    """
    Waits until a cluster has a backup that is young enough.

    :param cluster_id: cluster that the backup is of
    :param max_age: how old it may be, in seconds
    :param collections: what it must hold; ``None`` means the whole cluster
    :param database: the collections' database; ``None`` means the default one
    :param backup_type: ``CLUSTER`` or ``COLLECTION``
    :param creation_method: ``MANUAL`` or ``AUTO``; ``None`` means either
    """

    def __init__(
        self,
        *,
        cluster_id: str,
        max_age: float,
        collections: Sequence[str] | None = None,
        database: str | None = None,
        backup_type: str | None = None,
        creation_method: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rule = FreshnessRule(
            cluster_id,
            timedelta(seconds=max_age),
            None if collections is None else tuple(collections),
            database,
            backup_type,
            creation_method,
        )
        self._unfit: dict[str, str] = {}

    def serialized_fields(self) -> dict[str, Any]:
        rule = self.rule
        return {
            "cluster_id": rule.cluster_id,
            "max_age": rule.max_age.total_seconds(),
            "collections": None if rule.collections is None else list(rule.collections),
            "database": rule.database,
            "backup_type": rule.backup_type,
            "creation_method": rule.creation_method,
        }

    def flow(self, wait: Wait) -> Flow[dict[str, Any]]:
        yield from check_cluster(self.rule.cluster_id)
        return {"result": (yield from wait_for_fresh_backup(self.rule, wait, self._unfit))}


class ZillizNoActiveBackupTrigger(ZillizTrigger):
    """
    Waits until no backup, manual or automatic, is being created.

    :param cluster_id: the cluster to watch
    :param project_id: the project to watch instead
    :param before_submission: whether the task submits a job next
    :param result: the task's result; ``None`` means the number of backups
    :param guessing_since: when the task began to wait, if only a guess explains that; the event returns it
    """

    def __init__(
        self,
        *,
        cluster_id: str | None = None,
        project_id: str | None = None,
        before_submission: bool = False,
        result: dict[str, Any] | None = None,
        guessing_since: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster_id = cluster_id
        self.project_id = project_id
        self.before_submission = before_submission
        self.result = result
        self.guessing_since = guessing_since

    def serialized_fields(self) -> dict[str, Any]:
        return {
            "cluster_id": self.cluster_id,
            "project_id": self.project_id,
            "before_submission": self.before_submission,
            "result": self.result,
            "guessing_since": self.guessing_since,
        }

    def flow(self, wait: Wait) -> Flow[dict[str, Any]]:
        if self.cluster_id and not self.before_submission:
            yield from check_cluster(self.cluster_id)
        end = yield from wait_until_free(
            wait,
            cluster_id=self.cluster_id,
            project_id=self.project_id,
            before_submission=self.before_submission,
        )
        if self.project_id and end == {"backups": 0}:
            yield from check_project(self.project_id)
        result = end and (self.result or end)
        return {"result": result, "deadline": self.deadline, "guessing_since": self.guessing_since}
