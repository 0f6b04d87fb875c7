"""Look a job up."""

from __future__ import annotations

from airflow_provider_zbackup.emulator.api.call import Call
from airflow_provider_zbackup.emulator.control_plane import ControlPlane
from airflow_provider_zbackup.emulator.errors import documented
from airflow_provider_zbackup.emulator.shapes import Json


def describe_job(plane: ControlPlane, call: Call) -> Json:
    """https://docs.zilliz.com/reference/restful/describe-job-v2"""
    now = plane.now()
    job = plane.jobs.get(call.path["job_id"])
    # The job of a cross-region copy starts in the future: when the backup itself is done.
    if job is None or now < job.started or now < job.started + plane.settings.job_lag:
        raise documented(96026)
    return job.answer(now)
