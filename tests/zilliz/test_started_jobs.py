"""Jobs that work on a backup: what an earlier try has started is gone on with, unless it has failed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import ZillizUncertainError
from airflow_provider_zbackup.zilliz.flows.export import ExportBackupSubmission
from airflow_provider_zbackup.zilliz.flows.started_jobs import JobRecord
from airflow_provider_zbackup.zilliz.flows.submission import submit_once
from airflow_provider_zbackup.zilliz.models import Job, StartedJob
from airflow_provider_zbackup.zilliz.operations import Operation
from tests.zilliz.driver import CLUSTER, Driver, at, backup

SUBMISSION = ExportBackupSubmission(CLUSTER, "backup-1", "integ-1", "backups/")
STARTED = JobRecord(cluster_id=CLUSTER, first_sent=at(-60), answer_deadline=at(-30), job_id="earlier")


def cloud(job_id: str = "new", status: str = "IN_PROGRESS") -> Driver:
    """Return a cloud that starts a job with this id, and in which every job has this status."""
    answers: dict[str, Any] = {
        "describe backup": backup(),
        "export backup": StartedJob(job_id=job_id),
        "describe job": Job(job_id="earlier", status=status),
    }

    def answer(operation: Operation[Any]) -> Any:
        return answers[operation.name]

    return Driver(answer)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("PENDING", "earlier"),
        ("IN_PROGRESS", "earlier"),
        ("SUCCESSFUL", "earlier"),
        ("FAILED", "new"),
        ("CANCELED", "new"),
    ],
)
def test_a_retry_starts_a_job_only_if_the_earlier_one_has_failed(status: str, expected: str) -> None:
    driver = cloud(status=status)
    record = driver.run(submit_once(SUBMISSION, record=STARTED.save().record))
    assert record.job_id == expected
    assert driver.calls.count("export backup") == (expected == "new")


def test_an_answer_without_a_job_id_is_a_question_and_no_second_call() -> None:
    driver = cloud(job_id="")
    with pytest.raises(ZillizUncertainError, match="whether this task made the export"):
        driver.run(submit_once(SUBMISSION))
    assert driver.calls.count("export backup") == 1
