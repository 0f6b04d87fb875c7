"""Waiting for a cluster that a job makes."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import (
    ZillizClusterLostError,
    ZillizJobFailedError,
    ZillizNotFoundError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizUnsupportedClusterError,
)
from airflow_provider_zbackup.zilliz.flows.polling import LOOK_UP_LAG, Wait
from airflow_provider_zbackup.zilliz.flows.waiting import check_cluster, wait_for_cluster
from airflow_provider_zbackup.zilliz.models import Cluster
from tests.clock import START
from tests.zilliz.driver import Driver, always, job, scripted

WAIT = Wait(START + 3600)
UNKNOWN = ZillizNotFoundError("Unknown.")
DONE = job("SUCCESSFUL")


def cluster(status: str = "RUNNING", **facts: Any) -> Cluster:
    return Cluster(cluster_id="in01-new", status=status, **facts)


def test_it_is_waited_for_until_job_and_cluster_are_ready() -> None:
    driver = scripted(job(), DONE, cluster("RESTORE_BACKUP"), cluster())
    assert driver.run(wait_for_cluster("in01-new", WAIT, job_id="job-1")) == cluster()
    assert driver.calls == ["describe job", "describe job", "describe cluster", "describe cluster"]


@pytest.mark.parametrize("status", ["CREATING", "RESTORE_BACKUP", "ABNORMAL", "FUTURE", ""])
def test_without_a_job_its_status_tells(status: str) -> None:
    driver = scripted(cluster(status), cluster())
    assert driver.run(wait_for_cluster("in01-new", WAIT)) == cluster()


def test_a_job_that_is_forgotten_leaves_the_status() -> None:
    driver = Driver(lambda operation: UNKNOWN if operation.name == "describe job" else cluster())
    assert driver.run(wait_for_cluster("in01-new", WAIT, job_id="job-1")) == cluster()
    assert "Unknown. Waiting by the status of cluster in01-new instead." in driver.notes


def test_a_job_that_failed_is_an_error() -> None:
    with pytest.raises(ZillizJobFailedError, match="disk is full"):
        scripted(job("FAILED", reason="disk is full")).run(wait_for_cluster("c", WAIT, job_id="job-1"))


@pytest.mark.parametrize("status", ["DELETING", "DELETED"])
def test_a_cluster_that_is_dropped_meanwhile_is_lost(status: str) -> None:
    with pytest.raises(ZillizClusterLostError, match="Cluster in01-new was dropped"):
        scripted(cluster(status)).run(wait_for_cluster("in01-new", WAIT))


def test_a_cluster_that_stays_unknown_is_lost() -> None:
    driver = always(UNKNOWN)
    with pytest.raises(ZillizClusterLostError, match="Cluster in01-new cannot be found"):
        driver.run(wait_for_cluster("in01-new", WAIT))
    assert driver.elapsed >= LOOK_UP_LAG


def test_it_is_left_to_somebody_else_when_it_is_time() -> None:
    leave = WAIT._replace(leave_after=START + 2)
    assert always(cluster("CREATING")).run(wait_for_cluster("in01-new", leave)) is None
    assert always(job()).run(wait_for_cluster("in01-new", leave, job_id="job-1")) is None


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({}, None),
        ({"deployment_option": "Dedicated", "plan": "Enterprise"}, None),
        ({"deployment_option": "Serverless"}, ZillizUnsupportedClusterError),
        ({"plan": "Free"}, ZillizUnsupportedClusterError),
    ],
    ids=["untold", "Dedicated", "Serverless", "Free"],
)
def test_which_clusters_can_have_backups(facts: dict[str, str], error: type[Exception] | None) -> None:
    driver = scripted(cluster(**facts))
    if error is None:
        driver.run(check_cluster("in01-new"))
    else:
        with pytest.raises(error, match=r"Cluster in01-new is .*, so it has no backups"):
            driver.run(check_cluster("in01-new"))


def test_a_cluster_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ZillizNotFoundError):
        scripted(UNKNOWN).run(check_cluster("in01-new"))


def test_trouble_with_the_look_at_a_cluster_is_left_to_what_follows() -> None:
    driver = scripted(ZillizServerError("Down."))
    driver.run(check_cluster("in01-new"))
    assert driver.notes == ["Down. Going on without checking cluster in01-new."]


def test_a_job_that_is_refused_for_long_leaves_the_status() -> None:
    """No code is documented for a job that is forgotten."""
    refused = ZillizRefusedError("No such job.", code=12345)
    driver = Driver(lambda operation: refused if operation.name == "describe job" else cluster())
    assert driver.run(wait_for_cluster("in01-new", WAIT, job_id="job-1")) == cluster()
