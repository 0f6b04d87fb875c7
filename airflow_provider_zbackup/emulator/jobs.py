"""Jobs: a plan fixes the end at the start, unless somebody ends it. The clock decides how far it is now."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import ConfigDict, Field

from airflow_provider_zbackup.emulator.checked_model import CheckedModel, Seconds
from airflow_provider_zbackup.emulator.formats import Json, iso_time

FINAL_STATUSES = frozenset({"SUCCESSFUL", "FAILED", "CANCELED", "ERROR"})
PENDING_SHARE = 0.1


class JobPlan(CheckedModel):
    """
    How a job runs and ends.

    :param seconds: the time from 0 to 100 percent; None means the ``job_seconds`` of the settings.
    :param status: the last status. A status that is not final, such as ``CANCELING`` or any unknown text,
        stays for ever.
    :param at_progress: the percentage at which the job gets its last status.
    :param reason: the ``reason`` that the job shows together with its last status.
    :param running_status: the status between ``PENDING`` and the last one.
    :param progress: how the job shows its progress: ``percent`` ("42", as documented), ``number`` (42),
        ``null`` or ``absent``. The job shows any other text as it is.
    """

    model_config = ConfigDict(frozen=True)

    seconds: Seconds | None = None
    status: str = "SUCCESSFUL"
    at_progress: int = Field(default=100, ge=0, le=100)
    reason: str = ""
    running_status: str = "IN_PROGRESS"
    progress: str = "percent"


@dataclass(eq=False)
class Job:
    """
    One job: https://docs.zilliz.com/reference/restful/describe-job-v2

    :param type: ``BACKUP``, ``RESTORE`` or ``EXPORT``. The reference has no type for exports: the last one is
        a guess.
    :param cluster_id: the cluster of the job. The API does not show it.
    :param started: seconds since the epoch.
    :param seconds: the time from 0 to 100 percent.
    :param is_working: whether data must still be copied. The job does not end before that.
    """

    job_id: str
    type: str
    cluster_id: str
    started: float
    seconds: float
    plan: JobPlan = field(default_factory=JobPlan)
    is_working: bool = False

    @property
    def arrives(self) -> float:
        """When the job gets its last status."""
        return self.started + self.seconds * self.plan.at_progress / 100

    @property
    def will_succeed(self) -> bool:
        """Whether the job succeeds in the end."""
        return self.plan.status == "SUCCESSFUL"

    @property
    def has_end(self) -> bool:
        """Whether the job ends at all."""
        return self.plan.status in FINAL_STATUSES

    def status(self, now: float) -> str:
        """Return the status: ``PENDING``, the one between, or the last one."""
        if self._has_arrived(now):
            return self.plan.status
        if now < self.started + self.seconds * PENDING_SHARE:
            return "PENDING"
        return self.plan.running_status

    def reason(self, now: float) -> str:
        """Return why the job has its last status; empty before that."""
        return self.plan.reason if self._has_arrived(now) else ""

    def is_final(self, now: float) -> bool:
        """Return whether the job has ended."""
        return self.has_end and self._has_arrived(now)

    def percent(self, now: float) -> int:
        """Return the progress in percent."""
        if self._has_arrived(now):
            return self.plan.at_progress
        if now >= self.arrives:
            return 99
        if self.status(now) == "PENDING":
            return 0
        return int(100 * (now - self.started) / self.seconds)

    def end(self, now: float, status: str, reason: str) -> None:
        """Give a running job its last status now."""
        self.plan = self.plan.model_copy(
            update={"status": status, "reason": reason, "at_progress": self.percent(now)}
        )
        self.is_working = False

    def _has_arrived(self, now: float) -> bool:
        return now >= self.arrives and not self.is_working

    def to_json(self, now: float) -> dict[str, Json]:
        """Return the job as Describe Job shows it. The ``endTime`` of a running job is a guess."""
        percent = self.percent(now)
        shown = {"percent": str(percent), "number": percent, "null": None}
        answer = {
            "jobId": self.job_id,
            "type": self.type,
            "status": self.status(now),
            "progress": shown.get(self.plan.progress, self.plan.progress),
            "startTime": iso_time(self.started),
            "endTime": iso_time(self.arrives) if self.is_final(now) else "",
            "reason": self.reason(now),
        }
        if self.plan.progress == "absent":
            del answer["progress"]
        return answer
