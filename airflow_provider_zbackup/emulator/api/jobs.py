"""The operation that describes a job."""

from __future__ import annotations

from airflow_provider_zbackup.emulator.api.request import ApiRequest
from airflow_provider_zbackup.emulator.control_plane import ControlPlane
from airflow_provider_zbackup.emulator.errors import documented_error
from airflow_provider_zbackup.emulator.formats import Json


def describe_job(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/describe-job-v2"""
    now = control_plane.now()
    job = control_plane.jobs.get(request.path["job_id"])
    # The job of a copy exists before it starts: it starts when the backup ends.
    if job is None or now < job.started or now < job.started + control_plane.settings.job_lag:
        raise documented_error(96026)
    return job.to_json(now)
