"""Jobs that can be found only by their id: restores of collections, and exports."""

from __future__ import annotations

from typing import Any, TypeVar

from airflow_provider_zbackup.zilliz.errors import ZillizBadRequestError, ZillizProtocolError
from airflow_provider_zbackup.zilliz.flows.recovery import Stage
from airflow_provider_zbackup.zilliz.flows.steps import Flow, Reply, look_up_backup, now, retrying, server_now
from airflow_provider_zbackup.zilliz.flows.submission import Record, Submission
from airflow_provider_zbackup.zilliz.models import Backup, StartedJob
from airflow_provider_zbackup.zilliz.operations import describe_job


class JobRecord(Record):
    """What is saved of such a job: its id is the only trace of the call."""

    @property
    def made_id(self) -> str:
        return self.job_id


J = TypeVar("J", bound=JobRecord)


class JobSubmission(Submission[J]):
    """
    Starts a job that works on a backup.

    :param cluster_id: the cluster that the backup is of
    """

    leaves_traces = False

    def __init__(self, cluster_id: str, backup_id: str) -> None:
        self.cluster_id = cluster_id
        self.backup_id = backup_id

    def check(self, backup: Backup) -> Flow[dict[str, Any]]:
        """Check, before anything is sent, that the job can succeed; return further fields of the record."""
        yield from ()
        return {}

    def prepare(self) -> Flow[J]:
        reply: Reply[Backup] = yield from look_up_backup(self.cluster_id, self.backup_id)
        came_at = yield from now()
        if not reply.value.is_available:
            raise ZillizBadRequestError(
                f"Backup {self.backup_id} of cluster {self.cluster_id} is "
                f"{reply.value.status or 'in no known state'}, not AVAILABLE.",
                unprocessed=True,
            )
        more = yield from self.check(reply.value)
        sent = yield from server_now(reply, came_at)
        return self.record_type(cluster_id=self.cluster_id, first_sent=sent, answer_deadline=sent, **more)

    def started(self, record: J, answer: StartedJob) -> Flow[J]:
        yield from ()
        if not answer.job_id:
            raise ZillizProtocolError(f"Zilliz Cloud accepted the {self.noun} but sent no job id.")
        return record.model_copy(update={"job_id": answer.job_id})

    def look_up(self, record: J) -> Flow[Stage]:
        job = (yield from retrying(describe_job(record.job_id))).value
        if job.is_failed or job.is_canceled:
            return Stage.GONE
        return Stage.FINISHED if job.is_successful else Stage.CREATING
