"""The bodies that go over the wire, and what they have in common with a backup."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_provider_zbackup.zilliz.checks import ArgumentError
from airflow_provider_zbackup.zilliz.models import BackedUpDatabase, Backup
from airflow_provider_zbackup.zilliz.requests import (
    CreateBackupRequest,
    ExportBackupRequest,
    RestoreClusterRequest,
    RestoreCollectionsRequest,
    RestoreTarget,
)


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        pytest.param({}, '{"backupType": "CLUSTER"}', id="published: cluster"),
        pytest.param(
            {"collections": ["medium_articles"]},
            '{"backupType": "COLLECTION", "dbCollections": [{"collectionNames": ["medium_articles"]}]}',
            id="published: collection",
        ),
        pytest.param(
            {"collections": ("b", "a"), "database": "sales"},
            '{"backupType": "COLLECTION", "dbCollections": '
            '[{"dbName": "sales", "collectionNames": ["b", "a"]}]}',
            id="database",
        ),
        pytest.param(
            {"copy_to_regions": ["aws-us-west-2", "aws-us-east-1"]},
            '{"backupType": "CLUSTER", "crossRegionCopies": '
            '[{"regionId": "aws-us-west-2"}, {"regionId": "aws-us-east-1"}]}',
            id="regions",
        ),
    ],
)
def test_nothing_is_sent_but_what_was_asked_for(arguments: dict[str, Any], body: str) -> None:
    assert json.dumps(CreateBackupRequest.of(**arguments).body()) == body


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"collections": "medium_articles"}, r"must be a list of collection names, not a string"),
        ({"collections": []}, "must not be an empty list"),
        ({"collections": [""]}, "each of collections must not be empty"),
        ({"collections": [None]}, "each of collections must be a string, not None"),
        ({"collections": ["a", "a"]}, "has duplicates: a"),
        ({"collections": {"a"}}, "must be a list of collection names, not set"),
        ({"database": "sales"}, "database needs collections"),
        ({"collections": ["a"], "database": ""}, "database must not be empty"),
        ({"copy_to_regions": "aws-us-west-2"}, "must be a list of region ids, not a string"),
        ({"copy_to_regions": []}, "must not be an empty list"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_whoever_asks_for_it(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        CreateBackupRequest.of(**arguments)


RESTORE: dict[str, Any] = {
    "project_id": "proj-1",
    "cluster_name": "new",
    "cu_size": 1,
    "collection_status": "KEEP",
}
TARGET = RestoreTarget(None, "a", None, "b")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"project_id": ""}, "project_id must not be empty"),
        ({"cluster_name": None}, "cluster_name must be a string, not None"),
        ({"cu_size": 0}, "cu_size must be a whole number, at least 1, not 0"),
        ({"collection_status": "LOADED"}, "collection_status must be one of 'KEEP', 'RELEASE'"),
        ({"restore_version": "NEWEST"}, "restore_version must be one of 'LATEST', 'ORIGINAL'"),
    ],
    ids=str,
)
def test_a_restore_that_cannot_be_meant_is_refused(change: dict[str, Any], text: str) -> None:
    RestoreClusterRequest.of(**RESTORE)
    with pytest.raises(ArgumentError, match=text):
        RestoreClusterRequest.of(**(RESTORE | change))


@pytest.mark.parametrize(
    ("cluster_id", "target", "text"),
    [
        ("", TARGET, "destination_cluster_id must not be empty"),
        ("in01-1", TARGET._replace(name=""), "the collection to restore must not be empty"),
        ("in01-1", TARGET._replace(restored_as=" b"), "the restored collection has white space around it"),
        ("in01-1", TARGET._replace(database=""), "database must not be empty"),
        ("in01-1", TARGET._replace(destination_database=""), "destination_database must not be empty"),
    ],
)
def test_a_restore_of_collections_that_cannot_be_meant_is_refused(
    cluster_id: str, target: RestoreTarget, text: str
) -> None:
    with pytest.raises(ArgumentError, match=text):
        RestoreCollectionsRequest.of(cluster_id, target, load=True)


@pytest.mark.parametrize(("integration_id", "directory"), [("", "backups/"), ("integ-1", "")])
def test_an_export_that_cannot_be_meant_is_refused(integration_id: str, directory: str) -> None:
    with pytest.raises(ArgumentError, match="must not be empty"):
        ExportBackupRequest.of(integration_id, directory)


@pytest.mark.parametrize(
    "fields",
    [{}, {"backup_type": 1}, {"backup_type": "CLUSTER", "name": "mine"}],
    ids=["missing", "of a wrong type", "unknown"],
)
def test_a_request_takes_only_its_own_fields(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CreateBackupRequest(**fields)


def holding(**databases: list[str]) -> Backup:
    held = [
        {"dbName": database.strip("_"), "collections": [{"collectionName": name} for name in names]}
        for database, names in databases.items()
    ]
    return Backup(
        backup_type="COLLECTION", db_collections=tuple(BackedUpDatabase.model_validate(one) for one in held)
    )


def asking(*collections: str, database: str | None = None) -> CreateBackupRequest:
    return CreateBackupRequest.of(collections, database)


@pytest.mark.parametrize(
    ("request_", "backup", "same"),
    [
        (CreateBackupRequest.of(), Backup(backup_type="CLUSTER"), True),
        (CreateBackupRequest.of(), holding(_=["a"]), False),
        (asking("a"), Backup(backup_type="CLUSTER"), False),
        (asking("a"), Backup(backup_type="COLLECTION"), None),
        (asking("a"), Backup(), None),
        (CreateBackupRequest.of(), Backup(), None),
        (asking("a"), holding(_=[]), None),
        (asking("a"), holding(_=["a"]), True),
        (asking("a"), holding(default=["a"]), True),
        (asking("a", database="default"), holding(_=["a"]), True),
        (asking("a", database="sales"), holding(sales=["a"]), True),
        (asking("a", database="sales"), holding(_=["a"]), False),
        (asking("a"), holding(sales=["a"]), False),
        (asking("b", "a"), holding(_=["a", "b"]), True),
        (asking("a"), holding(_=["a", "b"]), False),
        (asking("a", "b"), holding(_=["a"]), False),
        (asking("a"), holding(_=["A"]), False),
        (asking("a", database="sales"), holding(_=["a"], sales=["a"]), False),
    ],
)
def test_whether_a_backup_covers_the_same_as_a_request(
    request_: CreateBackupRequest, backup: Backup, same: bool | None
) -> None:
    assert request_.covers_same(backup) is same
