"""What a task that creates a backup returns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_zbackup.utils.results import confirmed, started
from airflow_provider_zbackup.zilliz.flows.creation import CreateRecord
from airflow_provider_zbackup.zilliz.models import Backup
from tests.zilliz.driver import CLUSTER, at

RECORD = CreateRecord(
    cluster_id=CLUSTER,
    request={"backupType": "CLUSTER"},
    first_sent=at(0),
    answer_by=at(30),
    backup_id="backup1",
    backup_name="Dedicated-01_backup1",
    job_id="job-1",
)
STARTED: dict[str, Any] = {
    "cluster_id": CLUSTER,
    "backup_id": "backup1",
    "backup_name": "Dedicated-01_backup1",
    "backup_type": "CLUSTER",
    "job_id": "job-1",
    "status": None,
    "size": None,
    "region_id": None,
    "create_time": None,
    "adopted": False,
}


@pytest.mark.parametrize(
    ("facts", "changes"),
    [
        ({}, {}),
        ({"job_id": "", "adopted": True}, {"job_id": None, "adopted": True}),
        ({"backup_name": ""}, {"backup_name": None}),
        ({"request": {"backupType": "COLLECTION"}}, {"backup_type": "COLLECTION"}),
    ],
    ids=["answered", "found in the list", "without a name", "of collections"],
)
def test_a_backup_that_has_been_started(facts: dict[str, Any], changes: dict[str, Any]) -> None:
    assert started(RECORD.model_copy(update=facts)) == STARTED | changes


@pytest.mark.parametrize(
    ("facts", "changes"),
    [
        ({}, {}),
        ({"status": "AVAILABLE", "size": 0}, {"status": "AVAILABLE", "size": 0}),
        (
            {"backup_name": "Another", "region_id": "aws-us-west-2", "create_time": at(5)},
            {"backup_name": "Another", "region_id": "aws-us-west-2", "create_time": "2026-03-02T10:00:05Z"},
        ),
        ({"backup_id": "another", "cluster_id": "another", "project_id": "proj-1"}, {}),
    ],
    ids=["nothing", "an empty backup", "all", "what it was asked for by"],
)
def test_a_finished_backup_adds_what_it_shows_and_takes_nothing_away(
    facts: dict[str, Any], changes: dict[str, Any]
) -> None:
    known = dict(STARTED)
    result = confirmed(known, Backup(**facts))
    assert result == STARTED | changes
    assert list(result) == list(STARTED)
    assert json.loads(json.dumps(result)) == result
    assert known == STARTED
