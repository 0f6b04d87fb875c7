from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from airflow_provider_zbackup.zilliz import operations
from airflow_provider_zbackup.zilliz.errors import ZillizBadRequestError
from airflow_provider_zbackup.zilliz.models import BackupCreation, ClusterPage, Project
from airflow_provider_zbackup.zilliz.operations import Operation
from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest

REQUEST = CreateBackupRequest.of(["a"])
PAGED = (("pageSize", "100"), ("currentPage", "1"))


@pytest.mark.parametrize(
    ("operation", "method", "path", "query"),
    [
        (operations.create_backup("c", REQUEST), "POST", "/v2/clusters/c/backups/create", ()),
        (operations.describe_backup("c", "b"), "GET", "/v2/clusters/c/backups/b", ()),
        (operations.list_backups(), "GET", "/v2/backups", PAGED),
        (
            operations.list_backups(project_id="p", cluster_id="c", page=3),
            "GET",
            "/v2/backups",
            (
                ("projectId", "p"),
                ("clusterId", "c"),
                ("pageSize", "100"),
                ("currentPage", "3"),
            ),
        ),
        (operations.describe_job("j"), "GET", "/v2/jobs/j", ()),
        (operations.list_clusters(), "GET", "/v2/clusters", PAGED),
        (operations.describe_cluster("c"), "GET", "/v2/clusters/c", ()),
        (operations.list_projects(), "GET", "/v2/projects", ()),
        (operations.list_regions(), "GET", "/v2/regions", ()),
    ],
)
def test_method_path_and_query(
    operation: Operation[object], method: str, path: str, query: tuple[tuple[str, str], ...]
) -> None:
    assert (operation.method, operation.path, operation.query) == (method, path, query)
    assert operation.idempotent == (method == "GET")
    assert operation.request == (REQUEST if method == "POST" else None)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "create backup of cluster c"),
        ({"collections": ["a", "b"]}, "create backup of collections in database default of cluster c"),
        (
            {
                "collections": ["a"],
                "database": "sales",
                "copy_to_regions": ["aws-us-west-2", "aws-us-wset-1"],
            },
            "create backup of collections in database sales of cluster c "
            "with copies in aws-us-west-2, aws-us-wset-1",
        ),
    ],
)
def test_a_create_says_what_is_asked_for(arguments: dict[str, Any], text: str) -> None:
    assert str(operations.create_backup("c", CreateBackupRequest.of(**arguments))) == text


@pytest.mark.parametrize(
    ("job_id", "segment"),
    [
        ("job-1_A~.z", "job-1_A~.z"),
        ("a/b", "a%2Fb"),
        ("../projects", "..%2Fprojects"),
        ("...", "..."),
        (" ", "%20"),
        ("a?b#c&d", "a%3Fb%23c%26d"),
        ("%2e%2e", "%252e%252e"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("a\r\nb", "a%0D%0Ab"),
        ("a\\b;c", "a%5Cb%3Bc"),
    ],
)
def test_an_id_stays_one_segment_of_the_path(job_id: str, segment: str) -> None:
    assert operations.describe_job(job_id).path == f"/v2/jobs/{segment}"


@pytest.mark.parametrize("nothing", ["", ".", ".."])
def test_ids_that_would_lead_elsewhere_are_refused(nothing: str) -> None:
    for make in (
        lambda: operations.create_backup(nothing, REQUEST),
        lambda: operations.describe_backup(nothing, "b"),
        lambda: operations.describe_backup("c", nothing),
        lambda: operations.describe_job(nothing),
        lambda: operations.describe_cluster(nothing),
    ):
        with pytest.raises(ZillizBadRequestError, match=r"Unusable id in '\w+/.*'\.") as caught:
            make()
        assert caught.value.unprocessed


def test_operations_are_values() -> None:
    def make(collection: str) -> Operation[BackupCreation]:
        return operations.create_backup("c", CreateBackupRequest.of([collection]))

    assert make("a") == make("a")
    assert make("a") != make("b")
    assert (
        len({make("a"), make("a"), make("b"), operations.describe_job("j"), operations.describe_job("j")})
        == 3
    )


def test_an_operation_reads_its_own_answer() -> None:
    assert operations.list_projects().read([{"projectId": "p"}]) == [Project(project_id="p")]
    assert operations.list_clusters().read([]) == ClusterPage(clusters=())
    with pytest.raises(ValidationError):
        operations.list_projects().read({})
