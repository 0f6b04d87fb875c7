"""Comparing restored collections: each planted difference is found, and nothing else."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from pytest_mock import MockerFixture

from airflow_provider_zbackup.emulator import seed
from airflow_provider_zbackup.emulator.data_plane.collection_data import Field, RowsInMemory
from airflow_provider_zbackup.emulator.data_plane.sample import articles, customers
from airflow_provider_zbackup.emulator.records import Collection
from airflow_provider_zbackup.operators.restore import (
    ZillizRestoreClusterOperator,
    ZillizRestoreCollectionsOperator,
)
from airflow_provider_zbackup.operators.verify import ZillizVerifyCollectionsOperator
from airflow_provider_zbackup.utils.errors import find_zilliz_error
from airflow_provider_zbackup.zilliz.checks import ArgumentError
from airflow_provider_zbackup.zilliz.data_operations import LARGEST_PAGE
from airflow_provider_zbackup.zilliz.errors import ZillizDifferenceError, ZillizError
from airflow_provider_zbackup.zilliz.flows import collections
from airflow_provider_zbackup.zilliz.flows.collections import take_manifest
from tests.support import API_KEY, CLUSTER_ID, TaskInstance, World

Change = Callable[[RowsInMemory], RowsInMemory]


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(ZillizVerifyCollectionsOperator, "log", logging.getLogger("task"))
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.fixture
def restored(world: World) -> dict[str, Any]:
    """The result of a task that restored a whole cluster."""
    backup = world.someone_backs_up(seconds=0)
    result: dict[str, Any] = TaskInstance(
        lambda: ZillizRestoreClusterOperator(
            task_id="task",
            cluster_id=CLUSTER_ID,
            backup_id=backup.backup_id,
            cluster_name="scratch",
            discard_password=True,
        )
    ).run()
    return result


@pytest.fixture
def copies(world: World) -> dict[str, Any]:
    """The result of a task that restored two collections beside the live ones."""
    backup = world.someone_backs_up(seconds=0)
    result: dict[str, Any] = TaskInstance(
        lambda: ZillizRestoreCollectionsOperator(
            task_id="task",
            cluster_id=CLUSTER_ID,
            backup_id=backup.backup_id,
            collections=[ARTICLES, "quick_setup"],
            suffix="_copy",
        )
    ).run()
    return result


@pytest.fixture
def manifest(world: World) -> dict[str, Any]:
    taken = world.hook.client.run(take_manifest(CLUSTER_ID, sample_rows=1000))
    return taken.model_dump(mode="json")


def verify(**arguments: Any) -> TaskInstance:
    return TaskInstance(lambda: ZillizVerifyCollectionsOperator(task_id="task", **arguments))


def differences(**arguments: Any) -> list[tuple[str, str, str, str]]:
    """Return what a task finds, from its XCom."""
    task = verify(**arguments)
    error = None
    try:
        result = task.run()
    except AirflowFailException as failure:
        error = failure
    found: list[tuple[str, str, str, str]] = [tuple(each.values()) for each in task.xcoms["differences"]]
    if error is None:
        assert result["differences"] == found == []
    else:
        assert isinstance(find_zilliz_error(error), ZillizDifferenceError)
        assert str(error).startswith("Differences in ")
        assert f": {len(found)} (cluster " in str(error)
        assert "The log has a table of them" in str(error)
    return found


def plant(world: World, cluster_id: str, database: str, name: str | None, change: Change | None) -> None:
    """
    Plant a difference.

    :param name: the collection; None means all of the database, but not of the default one
    :param change: changes its data, and adds the collection if there is none; None removes it
    """
    cluster, now = world.control_plane.clusters[cluster_id], world.clock.time()
    group = cluster.databases_at(now)[database]
    for each in group:
        if change is None and (each.name == name or (database and name is None)):
            cluster.remove_collection(database, each.name, now)
    if change is not None and name is not None:
        collection = next((each for each in group if each.name == name), Collection(name))
        assert isinstance(collection.data, RowsInMemory)
        cluster.put_collection(database, replace(collection, data=change(collection.data)), now)


def without_row(key: int | str) -> Change:
    return lambda data: replace(data, rows={each: row for each, row in data.rows.items() if each != key})


def with_values(key: int | str, **values: Any) -> Change:
    return lambda data: replace(data, rows={**data.rows, key: {**data.rows[key], **values}})


def with_field(changed: Field) -> Change:
    return lambda data: replace(
        data, fields=[changed if field.name == changed.name else field for field in data.fields]
    )


@pytest.mark.parametrize("sample_rows", [0, 7, "1000"])
def test_a_restored_cluster_is_like_its_source(
    world: World, restored: dict[str, Any], sample_rows: int | str, logged: pytest.LogCaptureFixture
) -> None:
    task = verify(restored=restored, source_cluster_id=CLUSTER_ID, sample_rows=sample_rows)
    result = task.run()
    assert result == {
        "cluster_id": restored["cluster_id"],
        "collections": 4,
        "rows": 120 + 10 + 300 + 60,
        "sampled_rows": {0: 0, 7: 26, "1000": 490}[sample_rows],
        "differences": [],
        "not_compared": [],
    }
    assert "490 rows in 4 collections; nothing differs." in logged.text
    assert API_KEY not in logged.text


def test_one_database_may_be_compared(world: World, restored: dict[str, Any]) -> None:
    plant(world, restored["cluster_id"], "", ARTICLES, None)
    assert differences(restored=restored, source_cluster_id=CLUSTER_ID, database="sales") == []


def vector_of(name: str, *, times: float) -> list[float]:
    """Return a vector of the sample, of which only the first number is changed."""
    first, *others = customers().rows[name]["vector"]
    return [first * times, *others]


ARTICLES = "medium_articles"
#: The database and the collection, or None for all of the database; what to plant; what is to be found.
PLANTED: dict[str, tuple[str, str | None, Change | None, list[tuple[str, str, str, str]]]] = {
    "nothing": ("", None, None, []),
    "a collection is missing": (
        "sales",
        "orders",
        None,
        [("sales.orders", "collection", "there", "missing")],
    ),
    "a database is missing": (
        "sales",
        None,
        None,
        [(f"sales.{name}", "collection", "there", "missing") for name in ("customers", "orders")],
    ),
    "a collection too many": ("", "other", lambda data: data, [("other", "collection", "missing", "there")]),
    "a row is missing": (
        "",
        ARTICLES,
        without_row(17),
        [(ARTICLES, "rows", "120", "119"), (ARTICLES, "row 17", "there", "missing")],
    ),
    "a value changed": (
        "",
        ARTICLES,
        with_values(17, claps=-1),
        [(ARTICLES, "row 17, field claps", "there", "other value")],
    ),
    "a value is null": (
        "",
        ARTICLES,
        with_values(17, responses=None),
        [(ARTICLES, "row 17, field responses", "there", "other value")],
    ),
    "a large integer changed by one": (
        "sales",
        "orders",
        with_values(2**60 + 5, item=2**60 + 1),
        [("sales.orders", f"row {2**60 + 5}, field item", "there", "other value")],
    ),
    "a vector changed by one bit": (
        "sales",
        "customers",
        with_values("customer-003", vector=vector_of("customer-003", times=1 + 2**-23)),
        [("sales.customers", "row 'customer-003', field vector", "there", "other value")],
    ),
    "a vector changed by less than a bit": (
        "sales",
        "customers",
        with_values("customer-003", vector=vector_of("customer-003", times=1 + 2**-30)),
        [],
    ),
    "a dynamic field is missing": (
        "",
        "quick_setup",
        lambda data: replace(data, rows={**data.rows, 3: {"id": 3, "vector": data.rows[3]["vector"]}}),
        [("quick_setup", "row 3, field colour", "there", "missing")],
    ),
    "an index is gone": (
        "",
        ARTICLES,
        lambda data: replace(data, indexes=()),
        [(ARTICLES, "index of vector", "AUTOINDEX COSINE", "missing")],
    ),
    "an index is another": (
        "",
        ARTICLES,
        lambda data: replace(data, indexes=[replace(data.indexes[0], metric="L2", params={"M": "8"})]),
        [(ARTICLES, "index of vector", "AUTOINDEX COSINE", "AUTOINDEX L2 {'M': '8'}")],
    ),
    "a field has another type": (
        "",
        ARTICLES,
        with_field(Field("claps", "Int32")),
        [(ARTICLES, "field claps, type", "Int64", "Int32")],
    ),
    "a field has another length": (
        "",
        ARTICLES,
        with_field(Field("title", "VarChar", params={"max_length": "9"})),
        [(ARTICLES, "field title, params", "{'max_length': '512'}", "{'max_length': '9'}")],
    ),
    "a field is missing": (
        "",
        ARTICLES,
        lambda data: replace(data, fields=[field for field in data.fields if field.name != "claps"]),
        [(ARTICLES, "field claps", "there", "missing")],
    ),
    "there are no dynamic fields": (
        "",
        ARTICLES,
        lambda data: replace(data, has_dynamic_fields=False),
        [(ARTICLES, "dynamic field", "True", "none")],
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_each_planted_difference_is_found_and_nothing_else(
    world: World, restored: dict[str, Any], planted: str, logged: pytest.LogCaptureFixture
) -> None:
    database, name, change, expected = PLANTED[planted]
    plant(world, restored["cluster_id"], database, name, change)
    assert differences(restored=restored, source_cluster_id=CLUSTER_ID, sample_rows=1000) == expected
    for difference in expected:
        for word in difference:
            assert word in logged.text
    assert "-1" not in [word for record in logged.records for word in record.getMessage().split()]


@pytest.mark.parametrize("planted", PLANTED)
def test_a_manifest_finds_the_same(
    world: World, manifest: dict[str, Any], restored: dict[str, Any], planted: str
) -> None:
    database, name, change, expected = PLANTED[planted]
    plant(world, restored["cluster_id"], database, name, change)
    plant(world, CLUSTER_ID, "", ARTICLES, None)  # What is live does not matter.
    found = differences(restored=restored, manifest=json.loads(json.dumps(manifest)))
    if planted == "a dynamic field is missing":
        # Nothing was counted of what was not loaded.
        expected = []
    # A manifest does not know the single values of a row.
    of_rows = {what.partition(",")[0]: words for name, what, *words in expected if what.startswith("row ")}
    assert [difference for difference in found if not difference[1].startswith("row ")] == [
        difference for difference in expected if not difference[1].startswith("row ")
    ]
    assert {what for _, what, *_ in found if what.startswith("row ")} == set(of_rows)


def test_restored_copies_are_compared_with_the_collections_that_they_are_copies_of(
    world: World, copies: dict[str, Any]
) -> None:
    result = verify(restored=copies, source_cluster_id=CLUSTER_ID).run()
    assert (result["collections"], result["rows"], result["differences"]) == (2, 130, [])
    plant(world, CLUSTER_ID, "", f"{ARTICLES}_copy", without_row(5))
    copied = f"{ARTICLES}_copy"
    assert differences(restored=copies, source_cluster_id=CLUSTER_ID, sample_rows=0) == [
        (copied, "rows", "120", "119")
    ]
    for form in (
        {"collections": {ARTICLES: copied}},
        {"collections": {ARTICLES: copied}, "database": "default"},
    ):
        arguments = {"cluster_id": CLUSTER_ID, "source_cluster_id": CLUSTER_ID, **form}
        assert differences(**arguments, sample_rows=0) == [(copied, "rows", "120", "119")]


@pytest.mark.parametrize("against_manifest", [True, False])
def test_names_choose_from_what_was_restored_and_not_from_what_is_live(
    world: World, manifest: dict[str, Any], copies: dict[str, Any], against_manifest: bool
) -> None:
    plant(world, CLUSTER_ID, "", f"{ARTICLES}_copy", without_row(5))
    plant(world, CLUSTER_ID, "", "quick_setup_copy", without_row(1))
    other = {"manifest": manifest} if against_manifest else {"source_cluster_id": CLUSTER_ID}
    found = differences(restored=copies, collections=[ARTICLES], sample_rows=1000, **other)
    assert {name for name, *_ in found} == {f"{ARTICLES}_copy"}
    with pytest.raises(AirflowFailException, match="restored does not hold customers, named in collections"):
        verify(restored=copies, collections=["customers"], **other).run()


@pytest.mark.parametrize(
    ("restore", "database"),
    [
        ({"collections": [ARTICLES], "destination_database": "sales"}, "default"),
        ({"collections": ["orders"], "database": "sales", "destination_database": "default"}, "sales"),
        ({"collections": [ARTICLES], "database": "default"}, None),
    ],
    ids=["out of the default database", "into the default database", "in the default database, by its name"],
)
def test_a_collection_may_have_been_restored_into_another_database(
    world: World, manifest: dict[str, Any], restore: dict[str, Any], database: str | None
) -> None:
    backup = world.someone_backs_up(seconds=0)
    result = TaskInstance(
        lambda: ZillizRestoreCollectionsOperator(
            task_id="task", cluster_id=CLUSTER_ID, backup_id=backup.backup_id, suffix="_copy", **restore
        )
    ).run()
    for expected in ({"manifest": manifest}, {"source_cluster_id": CLUSTER_ID}):
        assert differences(restored=result, database=database, **expected) == []


def test_collections_that_were_restored_as_they_are_may_have_others_beside_them(
    world: World, manifest: dict[str, Any]
) -> None:
    backup = world.someone_backs_up(seconds=0)
    result = TaskInstance(
        lambda: ZillizRestoreCollectionsOperator(
            task_id="task",
            cluster_id=CLUSTER_ID,
            backup_id=backup.backup_id,
            destination_cluster_id=seed.SECOND_DEDICATED_CLUSTER_ID,
        )
    ).run()
    assert differences(restored=result, manifest=manifest) == []
    other: dict[str, Any] = {"cluster_id": result["cluster_id"], "manifest": manifest}
    assert differences(**other) == [("products", "collection", "missing", "there")]
    assert differences(**other, database="sales") == []
    assert differences(**other, database="default") == [("products", "collection", "missing", "there")]


def load_states(world: World, cluster_id: str) -> dict[str, str]:
    groups = world.control_plane.clusters[cluster_id].databases_at(world.clock.time())
    return {each.name: each.status for group in groups.values() for each in group}


@pytest.mark.parametrize("answer", [{}, {"loadState": None}, {"loadState": "LoadStateUnheardOf"}], ids=str)
def test_a_collection_that_somebody_may_use_is_not_released(
    world: World, restored: dict[str, Any], answer: dict[str, Any]
) -> None:
    """What does not show whether it is loaded may be in use."""
    before = load_states(world, CLUSTER_ID)
    world.fault("get_load_state", status=200, body={"code": 0, "data": answer}, times=None)
    with pytest.raises(ZillizError, match="cannot be read"):
        verify(restored=restored, source_cluster_id=CLUSTER_ID).run()
    assert load_states(world, CLUSTER_ID) == before
    assert not world.requests("release_collection")


def test_what_was_loaded_to_count_its_rows_is_released_again(
    world: World, restored: dict[str, Any], logged: pytest.LogCaptureFixture
) -> None:
    world.control_plane.configure(load_seconds=40)
    before = {
        cluster_id: load_states(world, cluster_id) for cluster_id in (CLUSTER_ID, restored["cluster_id"])
    }
    assert before[CLUSTER_ID]["quick_setup"] == "UNLOADED"
    plant(world, restored["cluster_id"], "", "quick_setup", without_row(3))
    arguments = {"restored": restored, "source_cluster_id": CLUSTER_ID, "sample_rows": 0}
    assert differences(**arguments) == [("quick_setup", "rows", "10", "9")]
    assert "Waiting until quick_setup is loaded." in logged.text
    after = {cluster_id: load_states(world, cluster_id) for cluster_id in before}
    assert after == before
    loads = len(world.requests("load_collection"))
    result = verify(**arguments, load=False).run()
    assert result["not_compared"] == [{"collection": "quick_setup", "what": "rows: it is not loaded"}]
    assert len(world.requests("load_collection")) == loads


def test_what_was_loaded_is_released_also_after_an_error(world: World, restored: dict[str, Any]) -> None:
    before = load_states(world, CLUSTER_ID)
    world.fault("query_entities", code=65535, message="a surprise")
    task = verify(restored=restored, source_cluster_id=CLUSTER_ID, collections=["quick_setup"], sample_rows=0)
    with pytest.raises(ZillizError, match="a surprise"):
        task.run()
    assert load_states(world, CLUSTER_ID) == before
    assert len(world.requests("release_collection")) == 1


class TimeOut(BaseException):
    """As Airflow ends a task, in the midst of anything."""


def test_what_was_loaded_is_released_also_after_a_time_out(
    world: World, restored: dict[str, Any], mocker: MockerFixture
) -> None:
    before = load_states(world, CLUSTER_ID)
    mocker.patch.object(collections, "count_rows", side_effect=TimeOut)
    with pytest.raises(TimeOut):
        verify(restored=restored, source_cluster_id=CLUSTER_ID, collections=["quick_setup"]).run()
    assert load_states(world, CLUSTER_ID) == before
    assert len(world.requests("load_collection")) == len(world.requests("release_collection")) == 1


def test_a_user_who_stops_the_task_finds_all_released(
    world: World, restored: dict[str, Any], mocker: MockerFixture
) -> None:
    operators: list[ZillizVerifyCollectionsOperator] = []

    def make() -> ZillizVerifyCollectionsOperator:
        operators.append(
            ZillizVerifyCollectionsOperator(
                task_id="task", restored=restored, source_cluster_id=CLUSTER_ID, collections=["quick_setup"]
            )
        )
        return operators[-1]

    # A signal handler calls it in the midst of the comparison.
    mocker.patch.object(collections, "count_rows", side_effect=lambda where: operators[-1].on_kill())
    before = load_states(world, CLUSTER_ID)
    with pytest.raises(SystemExit):
        TaskInstance(make).run()
    assert load_states(world, CLUSTER_ID) == before
    assert len(world.requests("load_collection")) == len(world.requests("release_collection")) == 1
    # After a time-out, Airflow calls it when all is released.
    operators[-1].on_kill()


def test_what_was_loaded_before_stays_so_after_an_error(world: World, restored: dict[str, Any]) -> None:
    world.fault("query_entities", code=65535, message="a surprise")
    with pytest.raises(ZillizError, match="a surprise"):
        verify(restored=restored, source_cluster_id=CLUSTER_ID, collections=[ARTICLES]).run()
    assert load_states(world, CLUSTER_ID)[ARTICLES] == "LOADED"
    assert world.requests("release_collection") == []


def test_what_cannot_be_released_is_told(
    world: World, restored: dict[str, Any], logged: pytest.LogCaptureFixture
) -> None:
    world.fault("release_collection", code=1100, message="not now")
    verify(restored=restored, source_cluster_id=CLUSTER_ID).run()
    assert "quick_setup was loaded to look at it, and could not be released again: Bad request" in logged.text


def test_a_collection_that_is_never_loaded_ends_in_a_time_out(world: World, restored: dict[str, Any]) -> None:
    world.control_plane.configure(load_seconds=7200)
    with pytest.raises(ZillizError, match="quick_setup is not loaded after 1800 s"):
        verify(restored=restored, source_cluster_id=CLUSTER_ID).run()


def test_a_collection_without_index_has_no_rows_to_count(world: World, restored: dict[str, Any]) -> None:
    for cluster_id in (CLUSTER_ID, restored["cluster_id"]):
        plant(world, cluster_id, "", "quick_setup", lambda data: replace(data, indexes=()))
    result = verify(restored=restored, source_cluster_id=CLUSTER_ID).run()
    assert result["not_compared"] == [
        {"collection": "quick_setup", "what": "rows: it has no index, so it cannot be loaded"}
    ]
    assert result["rows"] == 480


def test_integers_that_rest_cannot_show_exactly_are_told(world: World, restored: dict[str, Any]) -> None:
    for cluster_id in (CLUSTER_ID, restored["cluster_id"]):
        plant(world, cluster_id, "", ARTICLES, with_values(17, link=2.0**60))
    result = verify(restored=restored, source_cluster_id=CLUSTER_ID, sample_rows=1000).run()
    assert result["not_compared"] == [
        {
            "collection": ARTICLES,
            "what": "link: integers beyond 2^53 in fields outside of the schema are not shown exactly",
        }
    ]


def test_of_many_differing_rows_some_are_named(world: World, restored: dict[str, Any]) -> None:
    plant(world, restored["cluster_id"], "", ARTICLES, lambda data: replace(data, rows={}))
    found = differences(restored=restored, source_cluster_id=CLUSTER_ID, sample_rows=1000)
    assert found[0] == (ARTICLES, "rows", "120", "0")
    assert [what for _, what, *_ in found[1:-1]] == [f"row {key}" for key in range(20)]
    assert found[-1] == (ARTICLES, "100 more rows or values", "there", "differ")


def test_a_large_collection_is_sampled_evenly(world: World, restored: dict[str, Any]) -> None:
    """Its keys take several pages; each is asked for once, and rows only of one cluster are searched for."""
    rows = LARGEST_PAGE * 2 + 100
    row = articles().rows[0]
    many = RowsInMemory(
        articles().fields, {key: {**row, "id": key} for key in range(rows)}, articles().indexes
    )
    for cluster_id in (CLUSTER_ID, restored["cluster_id"]):
        plant(world, cluster_id, "", ARTICLES, lambda _: many)
    step = -(-rows // 50)
    plant(world, restored["cluster_id"], "", ARTICLES, with_values(step * 49, claps=5))
    arguments = {"restored": restored, "source_cluster_id": CLUSTER_ID, "collections": [ARTICLES]}
    assert differences(**arguments, sample_rows=50) == [
        (ARTICLES, f"row {step * 49}, field claps", "there", "other value")
    ]
    keys = [
        entry.body for entry in world.requests("query_entities") if entry.body.get("limit") == LARGEST_PAGE
    ]
    assert [body.get("exprParams") for body in keys] == [
        None,
        {"last": LARGEST_PAGE - 1},
        {"last": 2 * LARGEST_PAGE - 1},
    ]


# What cannot be compared

TWO = {"cluster_id": "a", "source_cluster_id": "b"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "give either restored or cluster_id"),
        ({"cluster_id": "a", "restored": {"cluster_id": "b"}}, "give either restored or cluster_id"),
        ({"cluster_id": "a"}, "give either manifest or source_cluster_id"),
        ({"restored": {}, "source_cluster_id": "a"}, "restored is a result without cluster_id"),
        (
            {"cluster_id": "a", "manifest": {"collections": []}},
            "manifest is no manifest: cluster_id: Field required",
        ),
        ({"cluster_id": "a", "manifest": "{"}, "manifest is a string that is not JSON"),
        (
            {"cluster_id": "a", "source_cluster_id": "b", "sample_rows": -1},
            "sample_rows must be a whole number",
        ),
        (
            {"cluster_id": "a", "source_cluster_id": "b", "collections": []},
            "collections must not be an empty",
        ),
        ({"cluster_id": "a", "source_cluster_id": "b", "load": "yes"}, "load must be one of"),
    ],
)
def test_wrong_arguments_are_told_at_parse_time(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        ZillizVerifyCollectionsOperator(task_id="task", **arguments)


def test_a_backup_without_a_manifest_is_told(world: World) -> None:
    operator = ZillizVerifyCollectionsOperator(
        task_id="task", cluster_id=CLUSTER_ID, manifest="{{ nothing }}"
    )
    operator.manifest = None  # As Airflow renders it.
    with pytest.raises(AirflowFailException, match="made without record_manifest=True"):
        operator.execute(TaskInstance(lambda: operator).context)


def test_a_cluster_is_not_compared_with_itself(world: World) -> None:
    arguments = {"cluster_id": CLUSTER_ID, "source_cluster_id": CLUSTER_ID}
    for more in ({}, {"collections": [ARTICLES]}, {"database": "sales"}):
        with pytest.raises(AirflowFailException, match="would be compared with itself"):
            verify(**arguments, **more).run()
    assert world.requests() == []


def test_nothing_to_compare_proves_nothing(
    world: World, manifest: dict[str, Any], restored: dict[str, Any]
) -> None:
    empty = manifest | {"collections": []}
    with pytest.raises(AirflowFailException, match="There are no collections to compare, so nothing is"):
        verify(restored=restored, manifest=empty, database="nothing").run()
    with pytest.raises(AirflowFailException, match="restored does not say which collections were restored"):
        verify(restored=restored | {"collections": []}, manifest=manifest).run()


def test_a_collection_that_the_other_side_does_not_have_is_told(
    world: World, manifest: dict[str, Any], restored: dict[str, Any]
) -> None:
    arguments = {"restored": restored, "collections": ["nothing"]}
    with pytest.raises(AirflowFailException, match=r"The manifest has no collection nothing\."):
        verify(**arguments, manifest=manifest).run()
    with pytest.raises(AirflowFailException, match="Not found: can't find collection"):
        verify(**arguments, source_cluster_id=CLUSTER_ID).run()


def test_a_cluster_that_does_not_run_is_told(world: World, restored: dict[str, Any]) -> None:
    world.control_plane.set_cluster_status(restored["cluster_id"], "STOPPED")
    with pytest.raises(ZillizError, match="cannot be read: it is STOPPED at http"):
        verify(restored=restored, source_cluster_id=CLUSTER_ID).run()


def test_trouble_that_passes_is_ridden_out(world: World, restored: dict[str, Any]) -> None:
    for operation in ("list_collections", "describe_collection", "query_entities", "describe_index"):
        for fault in ({"status": 503}, {"drop": True}, {"code": 1807, "message": "rate limit exceeded"}):
            world.fault(operation, times=1, **fault)
    result = verify(restored=restored, source_cluster_id=CLUSTER_ID).run()
    assert (result["rows"], result["differences"]) == (490, [])


def test_a_key_that_may_not_read_data_is_told(world: World, restored: dict[str, Any]) -> None:
    world.fault("list_databases", status=403, body={"code": 65535, "message": "no privilege"}, times=None)
    with pytest.raises(AirflowFailException, match="Not permitted: no privilege"):
        verify(restored=restored, source_cluster_id=CLUSTER_ID).run()
