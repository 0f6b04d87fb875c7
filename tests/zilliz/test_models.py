from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from airflow_provider_zbackup.zilliz.models import (
    BackedUpCollection,
    BackedUpDatabase,
    Backup,
    BackupCreation,
    BackupPage,
    Cluster,
    ClusterPage,
    Contents,
    Job,
    Project,
)

# The answers that the API's reference, its guides and recordings of it show.
DOCUMENTED = {
    "create backup": (
        BackupCreation,
        '{"backupId":"backup0_c7b18539b97xxxx","backupName":"Dedicated-01_backup2",'
        '"jobId":"job-031a8e3587ba7zqkadxxxx"}',
        BackupCreation(
            backup_id="backup0_c7b18539b97xxxx",
            backup_name="Dedicated-01_backup2",
            job_id="job-031a8e3587ba7zqkadxxxx",
        ),
    ),
    "describe backup": (
        Backup,
        """{"clusterId":"in01-31a6b840e50b72d","clusterName":"Dedicated-01",
        "projectId":"proj-b44a39b0c51cf21791a841","backupId":"backup0_1e3c0988ecb7f0d",
        "backupName":"Dedicated-01_backup1","backupType":"CLUSTER","creationMethod":"MANUAL",
        "status":"AVAILABLE","size":112,"regionId":"aws-us-west-2","expireTime":"2024-08-30T16:49:50Z",
        "collections":[{"collectionName":"medium_articles","description":"Sample","status":"LOADED"}],
        "dbCollections":[{"dbName":"","collections":[{"collectionName":"medium_articles",
        "description":"Sample collection","status":"LOADED"}]}],
        "createTime":"2024-07-30T16:49:50Z","restoreNewInstancePolicies":["LATEST","ORIGINAL"]}""",
        Backup(
            backup_id="backup0_1e3c0988ecb7f0d",
            backup_name="Dedicated-01_backup1",
            backup_type="CLUSTER",
            creation_method="MANUAL",
            status="AVAILABLE",
            size=112,
            region_id="aws-us-west-2",
            cluster_id="in01-31a6b840e50b72d",
            cluster_name="Dedicated-01",
            project_id="proj-b44a39b0c51cf21791a841",
            create_time=datetime(2024, 7, 30, 16, 49, 50, tzinfo=UTC),
            expire_time=datetime(2024, 8, 30, 16, 49, 50, tzinfo=UTC),
            db_collections=(
                BackedUpDatabase(collections=(BackedUpCollection(collection_name="medium_articles"),)),
            ),
        ),
    ),
    "list backups": (
        BackupPage,
        """{"count":10,"currentPage":1,"pageSize":10,"backups":[{"backupId":"backup1_0b9d15a0ddexxxx",
        "projectId":"proj-20e13e974c7d659a83xxxx","backupName":"Dedicated-01_backup3","backupType":"CLUSTER",
        "creationMethod":"AUTO","status":"CREATING","size":0,"expireTime":"2024-09-02T02:27:51Z",
        "clusterId":"in01-3e5ad8adc38xxxx","clusterName":"Dedicated-01",
        "createTime":"2024-08-26T02:27:51Z"}]}""",
        BackupPage(
            page_size=10,
            backups=(
                Backup(
                    backup_id="backup1_0b9d15a0ddexxxx",
                    project_id="proj-20e13e974c7d659a83xxxx",
                    backup_name="Dedicated-01_backup3",
                    backup_type="CLUSTER",
                    creation_method="AUTO",
                    status="CREATING",
                    size=0,
                    expire_time=datetime(2024, 9, 2, 2, 27, 51, tzinfo=UTC),
                    cluster_id="in01-3e5ad8adc38xxxx",
                    cluster_name="Dedicated-01",
                    create_time=datetime(2024, 8, 26, 2, 27, 51, tzinfo=UTC),
                ),
            ),
        ),
    ),
    "describe job": (
        Job,
        """{"jobId":"job-03e1eefbd82dmo2oeb8pe2","type":"MIGRATION","status":"SUCCESSFUL","progress":"100",
        "startTime":"2024-07-30T16:49:50Z","endTime":"2024-07-30T17:30:50Z","reason":""}""",
        Job(
            job_id="job-03e1eefbd82dmo2oeb8pe2",
            type="MIGRATION",
            status="SUCCESSFUL",
            progress=100,
            start_time=datetime(2024, 7, 30, 16, 49, 50, tzinfo=UTC),
            end_time=datetime(2024, 7, 30, 17, 30, 50, tzinfo=UTC),
        ),
    ),
    "describe cluster": (
        Cluster,
        """{"clusterId":"in01-6183d6bac30f801","clusterName":"a-standard-type-cluster",
        "projectId":"proj-89bf4a83cfe2c8a4f03482","description":"pre create instance",
        "regionId":"gcp-us-west1","cuType":"Performance-optimized","plan":"Standard","status":"RUNNING",
        "connectAddress":"https://in01-6183d6bac30f801.gcp-us-west1.vectordb.zillizcloud.com:443",
        "privateLinkAddress":"","createTime":"2025-02-09T10:57:13Z","cuSize":1,"storageSize":0,
        "snapshotNumber":0,"createProgress":100}""",
        Cluster(
            cluster_id="in01-6183d6bac30f801",
            cluster_name="a-standard-type-cluster",
            project_id="proj-89bf4a83cfe2c8a4f03482",
            region_id="gcp-us-west1",
            plan="Standard",
            status="RUNNING",
            cu_size=1,
            connect_address="https://in01-6183d6bac30f801.gcp-us-west1.vectordb.zillizcloud.com:443",
            create_time=datetime(2025, 2, 9, 10, 57, 13, tzinfo=UTC),
        ),
    ),
    "list clusters": (
        ClusterPage,
        '{"count":1,"currentPage":1,"pageSize":10,"clusters":[{"clusterId":"in01-x",'
        '"deploymentOption":"Dedicated","globalClusterMeta":null}]}',
        ClusterPage(page_size=10, clusters=(Cluster(cluster_id="in01-x", deployment_option="Dedicated"),)),
    ),
    "list clusters, as its schema draws it": (
        ClusterPage,
        '[{"clusterId":"in01-x"}]',
        ClusterPage(clusters=(Cluster(cluster_id="in01-x"),)),
    ),
    "list projects": (
        list[Project],
        """[{"projectName":"project-05","projectId":"proj-77e7a5474cff4fcf457fbe","instanceCount":0,
        "createTime":"2025-11-05T07:05:59Z","plan":"Enterprise"}]""",
        [Project(project_id="proj-77e7a5474cff4fcf457fbe", project_name="project-05", plan="Enterprise")],
    ),
}


@pytest.mark.parametrize(("kind", "document", "expected"), DOCUMENTED.values(), ids=DOCUMENTED)
def test_documented_answers_are_read_in_full(kind: Any, document: str, expected: Any) -> None:
    assert TypeAdapter(kind).validate_python(json.loads(document)) == expected


ANSWERS = [BackupCreation, Backup, Job, Cluster, Project]
PAGES = [(BackupPage, "backups"), (ClusterPage, "clusters")]


@pytest.mark.parametrize("model", ANSWERS)
@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        [],
        {},
        {"a": 1},
        pytest.param(object(), id="an object"),
        float("nan"),
        float("inf"),
        b"\xff",
        "\ud800",
    ],
    ids=repr,
)
def test_fields_of_any_type_are_read(model: type[BaseModel], value: Any) -> None:
    answer = model.model_validate({field.alias: value for field in model.model_fields.values()})
    assert model.model_validate(answer.model_dump()) == answer


@pytest.mark.parametrize("model", ANSWERS)
def test_missing_null_and_unknown_fields_are_no_problem(model: type[BaseModel]) -> None:
    nulls = {str(field.alias): None for field in model.model_fields.values()}
    assert model.model_validate(nulls) == model.model_validate({}) == model.model_validate({"new": {}})


@pytest.mark.parametrize(("page", "items"), PAGES)
@pytest.mark.parametrize("document", [{}, {"error": "later"}, {"code": 0, "message": ""}], ids=repr)
def test_a_page_without_a_list_is_not_an_empty_one(page: Any, items: str, document: Any) -> None:
    with pytest.raises(ValidationError):
        page.model_validate(document)


@pytest.mark.parametrize(("page", "items"), PAGES)
@pytest.mark.parametrize("unreadable", ["?", 1, {}, {"a": 1}, [None], [{}, "?"]], ids=repr)
def test_a_list_that_cannot_be_read_is_not_an_empty_one(page: Any, items: str, unreadable: Any) -> None:
    with pytest.raises(ValidationError):
        page.model_validate({"count": 1, items: unreadable})


@pytest.mark.parametrize(("page", "items"), PAGES)
def test_an_empty_list_can_be_written_in_many_ways(page: Any, items: str) -> None:
    empty = page(**{items: ()})
    documents: list[dict[str, Any]] = [{items: []}, {items: None}, {"count": 0}, {"count": 0, items: None}]
    for document in documents:
        assert page.model_validate(document) == empty


@pytest.mark.parametrize(("page", "items"), PAGES)
def test_an_unreadable_page_size_is_none(page: Any, items: str) -> None:
    assert page.model_validate({"pageSize": "many", items: []}) == page(**{items: ()})


@pytest.mark.parametrize("document", [None, "text", 0, [1], []], ids=repr)
def test_what_is_no_document_is_no_answer(document: Any) -> None:
    with pytest.raises(ValidationError):
        Backup.model_validate(document)


def test_numbers_are_read_as_text_where_text_is_due() -> None:
    assert Job.model_validate({"jobId": 42}).job_id == "42"


@pytest.mark.parametrize(
    "spelling", ["IN_PROGRESS", "IN PROGRESS", "in-progress", " In_Progress\n"], ids=repr
)
def test_a_state_has_many_spellings(spelling: str) -> None:
    assert Job.model_validate({"status": spelling}).status == "IN_PROGRESS"


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("Successful", "is_successful"),
        ("FAILED", "is_failed"),
        ("ERROR", "is_failed"),
        ("CANCELED", "is_canceled"),
        ("cancelled", "is_canceled"),
        *(
            (status, None)
            for status in ("PENDING", "IN_PROGRESS", "RUNNING", "CANCELING", "SUCCESS", "?", "")
        ),
    ],
)
def test_a_job_has_ended_only_in_known_states(status: str, meaning: str | None) -> None:
    job = Job.model_validate({"status": status})
    meanings = [name for name in ("is_successful", "is_failed", "is_canceled") if getattr(job, name)]
    assert meanings == ([meaning] if meaning else [])


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        *((status, "is_running") for status in ("Creating", "PENDING", "ARCHIVED", "")),
        ("AVAILABLE", "is_available"),
        ("DELETED", "is_deleted"),
    ],
)
def test_a_backup_may_be_running_in_any_state_but_two(status: str, meaning: str) -> None:
    backup = Backup.model_validate({"status": status})
    meanings = [name for name in ("is_running", "is_available", "is_deleted") if getattr(backup, name)]
    assert meanings == [meaning]


@pytest.mark.parametrize(
    ("method", "manual"), [("MANUAL", True), ("manual", True), ("AUTO", False), ("", False)]
)
def test_manual_backups(method: str, manual: bool) -> None:
    assert Backup.model_validate({"creationMethod": method}).is_manual is manual


@pytest.mark.parametrize(
    ("text", "progress"),
    [
        ("40", 40),
        (40, 40),
        (40.9, 40),
        (" 42% ", 42),
        ("99.9", 99),
        ("0", 0),
        ("-3", 0),
        ("250", 100),
        ("", None),
        ("soon", None),
        ("NaN", None),
        ("1e400", None),
        (float("inf"), None),
        (10**400, None),
        (None, None),
        ([50], None),
    ],
)
def test_progress(text: Any, progress: int | None) -> None:
    assert Job.model_validate({"progress": text}).progress == progress


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-07-30T16:49:50Z", datetime(2024, 7, 30, 16, 49, 50, tzinfo=UTC)),
        ("2024-07-30T16:49:50", datetime(2024, 7, 30, 16, 49, 50, tzinfo=UTC)),
        ("2024-07-30 18:49:50+02:00", datetime(2024, 7, 30, 16, 49, 50, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        pytest.param("0001-01-01T00:00:00Z", None, id="how Go writes no time"),
        pytest.param(0, None, id="no time as a number"),
        pytest.param("1970-01-01T00:00:00Z", None, id="no time as a number, written out"),
        ("yesterday", None),
        ("", None),
        ("9" * 40, None),
    ],
)
def test_times_are_utc(text: Any, time: datetime | None) -> None:
    assert Backup.model_validate({"createTime": text}).create_time == time


@pytest.mark.parametrize(
    ("databases", "contents"),
    [
        ([{"dbName": "", "collections": [{"collectionName": "a"}]}], {(None, "a")}),
        ([{"dbName": "x", "collections": None}, {"collections": [{"collectionName": "a"}]}], {(None, "a")}),
        ([{"dbName": "x"}, {"collections": [{"collectionName": "a"}]}], {(None, "a")}),
        ([{"dbName": "x", "collections": []}], None),
        pytest.param([{"collections": [{"name": "a"}]}], None, id="no name that is known"),
        pytest.param([{"collections": [{"collectionName": ""}]}], None, id="an empty name"),
        pytest.param(
            [{"collections": [{"collectionName": "a"}]}, {"dbName": "x", "collections": ["b"]}],
            None,
            id="a part that cannot be read",
        ),
    ],
)
def test_contents_are_shown_in_full_or_not_at_all(databases: Any, contents: Contents | None) -> None:
    assert Backup.model_validate({"dbCollections": databases}).contents == contents


@pytest.mark.parametrize(
    ("backup", "now", "text"),
    [
        (Backup(), None, "unknown backup (no id) (no status)"),
        (
            Backup(backup_id="b", backup_type="CLUSTER", creation_method="AUTO", status="CREATING"),
            datetime(2024, 7, 30, tzinfo=UTC),
            "auto cluster backup b (CREATING)",
        ),
        (
            Backup(backup_id="b", create_time=datetime(2024, 7, 30, tzinfo=UTC)),
            datetime(2024, 7, 30, 0, 1, 30, tzinfo=UTC),
            "unknown backup b (no status, 90 s old)",
        ),
        (
            Backup(backup_id="b", create_time=datetime(2024, 7, 30, 1, tzinfo=UTC)),
            datetime(2024, 7, 30, tzinfo=UTC),
            "unknown backup b (no status, 0 s old)",
        ),
    ],
)
def test_a_backup_in_words(backup: Backup, now: datetime | None, text: str) -> None:
    assert backup.describe(now) == text
