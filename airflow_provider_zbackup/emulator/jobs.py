"""Jobs: what they will come to is fixed when they start, where they are now follows from the clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import ConfigDict, Field

from airflow_provider_zbackup.emulator.checked_model import CheckedModel
from airflow_provider_zbackup.emulator.formats import Json, iso_time

FINAL_STATUSES = frozenset({"SUCCESSFUL", "FAILED", "CANCELED", "ERROR"})
PENDING_SHARE = 0.1


class JobPlan(CheckedModel):
    """
    What a job is going to do.

    :param seconds: how long a complete run takes; None takes the control plane's ``job_seconds``.
    :param status: the status the job arrives at. One that is not final (``IN_PROGRESS``, ``CANCELING``, any
        unknown text) is kept for ever.
    :param at_progress: the progress, 0 to 100, at which it arrives there.
    :param reason: the ``reason`` shown once it has arrived.
    :param running_status: shown on the way there, in the place of ``IN_PROGRESS``.
    :param progress: how progress is shown: ``percent`` ("42", as documented), ``number`` (42), ``null``,
        ``absent``; any other text is shown as it is.
    """

    model_config = ConfigDict(frozen=True)

    seconds: float | None = Field(default=None, ge=0)
    status: str = "SUCCESSFUL"
    at_progress: int = Field(default=100, ge=0, le=100)
    reason: str = ""
    running_status: str = "IN_PROGRESS"
    progress: str = "percent"


@dataclass(frozen=True)
class Job:
    """
    One job of the project's job centre: https://docs.zilliz.com/reference/restful/describe-job-v2

    :param job_id: its id.
    :param type: ``BACKUP``, ``RESTORE`` or ``EXPORT``. The reference names no type for exports, so the last
        one is this emulator's choice.
    :param cluster_id: the cluster it works on; the API never tells it.
    :param started: when it was asked for, in seconds since the epoch.
    :param seconds: how long a complete run takes.
    :param plan: what it is going to do.
    """

    job_id: str
    type: str
    cluster_id: str
    started: float
    seconds: float
    plan: JobPlan = field(default_factory=JobPlan)

    @property
    def arrives(self) -> float:
        """When the job reaches the status that its plan names."""
        return self.started + self.seconds * self.plan.at_progress / 100

    @property
    def will_succeed(self) -> bool:
        """Whether the job ends well, sooner or later."""
        return self.plan.status == "SUCCESSFUL"

    def status(self, now: float) -> str:
        """Return the status at that moment."""
        if now >= self.arrives:
            return self.plan.status
        if now < self.started + self.seconds * PENDING_SHARE:
            return "PENDING"
        return self.plan.running_status

    def reason(self, now: float) -> str:
        """Return why the job ended as it did; empty until then."""
        return self.plan.reason if now >= self.arrives else ""

    def is_final(self, now: float) -> bool:
        """Return whether the job has ended, well or not."""
        return self.status(now) in FINAL_STATUSES

    def percent(self, now: float) -> int:
        """Return the progress at that moment, 0 to 100."""
        if now >= self.arrives:
            return self.plan.at_progress
        if self.status(now) == "PENDING":
            return 0
        return int(100 * (now - self.started) / self.seconds)

    def answer(self, now: float) -> dict[str, Json]:
        """
        Draw the job as Describe Job does.

        ``endTime`` of a job that has not ended is not documented; it is "" here.
        """
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
