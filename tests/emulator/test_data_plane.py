"""The data plane that the emulator serves: collections with rows, which backups and restores carry along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from airflow_provider_zbackup.emulator import ControlPlane, RunningEmulator, seed
from airflow_provider_zbackup.emulator.data_plane.collection_data import Field, RowsInMemory
from airflow_provider_zbackup.emulator.data_plane.sample import articles, embed, products
from tests.clock import VirtualClock
from tests.emulator.api import Api

CLUSTER = seed.DEDICATED_CLUSTER_ID
Ask = Callable[..., Any]


class DataPlane:
    """A client of one cluster's data plane."""

    def __init__(self, client: httpx.Client, token: str) -> None:
        self.client = client
        self.token = token

    def post(self, path: str, **body: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.client.post(f"/v2/vectordb/{path}", json=body, headers=headers)

    def data(self, path: str, **body: Any) -> Any:
        response = self.post(path, **body)
        assert (response.status_code, response.json()["code"]) == (200, 0), response.text
        return response.json()["data"]

    def code(self, path: str, **body: Any) -> int:
        response = self.post(path, **body)
        assert response.status_code == 200
        code: int = response.json()["code"]
        return code

    def count(self, name: str, **body: Any) -> int:
        body |= {"collectionName": name, "filter": "", "outputFields": ["count(*)"]}
        ((count),) = self.data("entities/query", **body)
        number: int = count["count(*)"]
        return number


@pytest.fixture
def open_cluster(
    api: Api, emulator: RunningEmulator, new_client: Callable[..., httpx.Client]
) -> Callable[..., DataPlane]:
    def open_one(cluster_id: str = CLUSTER, token: str = emulator.control_plane.api_key) -> DataPlane:
        address = api.data("GET", f"/clusters/{cluster_id}")["connectAddress"]
        return DataPlane(new_client(base_url=address), token)

    return open_one


@pytest.fixture
def cluster(open_cluster: Callable[..., DataPlane]) -> DataPlane:
    return open_cluster()


def test_it_shows_databases_and_collections(cluster: DataPlane) -> None:
    assert cluster.data("databases/list") == ["default", "sales"]
    assert cluster.data("collections/list") == ["medium_articles", "quick_setup"]
    assert cluster.data("collections/list", dbName="default") == ["medium_articles", "quick_setup"]
    assert cluster.data("collections/list", dbName="sales") == ["orders", "customers"]
    assert cluster.code("collections/list", dbName="nothing") == 800


def test_it_describes_a_collection(open_cluster: Callable[..., DataPlane]) -> None:
    cluster = open_cluster(seed.SECOND_DEDICATED_CLUSTER_ID)
    described = cluster.data("collections/describe", collectionName="products")
    assert described["collectionName"] == "products"
    assert described["enableDynamicField"]
    assert {field["name"]: field["type"] for field in described["fields"]} == {
        "id": "Int64",
        "name": "VarChar",
        "price": "Double",
        "in_stock": "Bool",
        "tags": "Array",
        "details": "JSON",
        "vector": "FloatVector",
    }
    assert [field["name"] for field in described["fields"] if field["primaryKey"]] == ["id"]
    (vector,) = (field for field in described["fields"] if field["name"] == "vector")
    assert vector["params"] == [{"key": "dim", "value": "16"}]
    (tags,) = (field for field in described["fields"] if field["name"] == "tags")
    assert tags["elementType"] == "VarChar"
    assert cluster.code("collections/describe", collectionName="nothing") == 100
    assert cluster.code("collections/describe", collectionName="products", dbName="nothing") == 800
    assert cluster.code("collections/describe") == 1802


def test_it_describes_indexes(cluster: DataPlane) -> None:
    assert cluster.data("indexes/list", collectionName="medium_articles") == ["vector"]
    (index,) = cluster.data("indexes/describe", collectionName="medium_articles", indexName="vector")
    assert (index["fieldName"], index["indexType"], index["metricType"]) == ("vector", "AUTOINDEX", "COSINE")
    assert (index["indexState"], index["totalRows"]) == ("Finished", 120)
    assert cluster.code("indexes/describe", collectionName="medium_articles", indexName="other") == 700


def test_it_counts_only_what_is_loaded(cluster: DataPlane) -> None:
    assert cluster.count("medium_articles") == 120
    assert cluster.data("collections/get_stats", collectionName="quick_setup") == {"rowCount": 10}
    body: dict[str, Any] = {"collectionName": "quick_setup", "outputFields": ["count(*)"]}
    assert cluster.code("entities/query", **body) == 101
    assert (
        cluster.code("entities/query", **body | {"collectionName": "medium_articles", "filter": "id>1"})
        == 1100
    )


def test_collections_can_be_loaded_and_released(
    cluster: DataPlane, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    name = {"collectionName": "quick_setup"}
    control_plane.configure(load_seconds=3)
    assert cluster.data("collections/get_load_state", **name) == {"loadState": "LoadStateNotLoad"}
    assert cluster.data("collections/load", **name) == {}
    state = cluster.data("collections/get_load_state", **name)
    assert state == {"loadState": "LoadStateLoading", "loadProgress": 50}
    clock.sleep(3)
    state = cluster.data("collections/get_load_state", **name)
    assert state == {"loadState": "LoadStateLoaded", "loadProgress": 100}
    assert cluster.count("quick_setup") == 10
    assert cluster.data("collections/load", **name) == {}
    assert cluster.count("quick_setup") == 10, "It is loaded already."
    cluster.data("collections/release", **name)
    assert cluster.data("collections/get_load_state", **name) == {"loadState": "LoadStateNotLoad"}


def test_a_collection_without_index_cannot_be_loaded(cluster: DataPlane, control_plane: ControlPlane) -> None:
    source, now = control_plane.clusters[CLUSTER], control_plane.now()
    collection = next(each for each in source.databases_at(now)[""] if each.name == "quick_setup")
    data = replace(collection.data, indexes=())  # type: ignore[type-var]
    source.put_collection("", replace(collection, data=data), now)
    assert cluster.code("collections/load", collectionName="quick_setup") == 700


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        ({"limit": 2}, [0, 1]),
        ({"limit": 2, "offset": 3}, [3, 4]),
        ({"filter": "id > 117"}, [118, 119]),
        ({"filter": "id > {last}", "exprParams": {"last": 117}}, [118, 119]),
        ({"filter": "id in [5, 4, 500, 4]"}, [4, 5]),
        ({"filter": "id in {keys}", "exprParams": {"keys": [7]}}, [7]),
        ({"limit": 0}, 1100),
        ({"limit": 16000, "offset": 385}, 1100),
        ({"limit": "2"}, 1801),
        ({"filter": "title > 5"}, 1100),
        ({"filter": "id in 5"}, 1100),
        ({"filter": "id > '5'"}, 1100),
        ({"filter": "id > {last}"}, 1100),
        ({"filter": "id like 5"}, 1100),
    ],
)
def test_it_finds_rows_by_primary_key(
    cluster: DataPlane, arguments: dict[str, Any], keys: list[int] | int
) -> None:
    body = {"collectionName": "medium_articles", "outputFields": ["id"], **arguments}
    if isinstance(keys, int):
        assert cluster.code("entities/query", **body) == keys
    else:
        assert cluster.data("entities/query", **body) == [{"id": key} for key in keys]


@pytest.mark.parametrize(
    ("text", "left"),
    [("id > 10", 11), ("id in [3, 4, 500]", 118), ("id > 200", 120)],
)
def test_rows_can_be_deleted(cluster: DataPlane, text: str, left: int) -> None:
    assert cluster.data("entities/delete", collectionName="medium_articles", filter=text) == {}
    assert cluster.count("medium_articles") == left
    assert cluster.count("orders", dbName="sales") == 300


def test_nothing_is_deleted_without_a_filter_or_from_what_is_not_loaded(cluster: DataPlane) -> None:
    assert cluster.code("entities/delete", collectionName="medium_articles") == 1802
    assert cluster.code("entities/delete", collectionName="medium_articles", filter="claps > 5") == 1100
    assert cluster.code("entities/delete", collectionName="quick_setup", filter="id > 5") == 101
    assert cluster.count("medium_articles") == 120


def test_a_search_finds_the_nearest_rows(cluster: DataPlane) -> None:
    title = "Why database backups matters"
    body: dict[str, Any] = {"collectionName": "medium_articles", "data": [embed(title)], "limit": 3}
    first, second, third = cluster.data("entities/search", **body, outputFields=["title"])
    assert (first["title"], first["distance"]) == (title, pytest.approx(1, abs=1e-4))
    assert second["title"] == "Why remote work matters"
    assert first["distance"] > second["distance"] > third["distance"]
    assert list(cluster.data("entities/search", **body)[0]) == ["id", "distance"]
    assert len(cluster.data("entities/search", **body | {"limit": None, "annsField": "vector"})) == 10


@pytest.mark.parametrize(
    "changes",
    [
        {"data": [[1.0]]},
        {"data": "text"},
        {"data": []},
        {"data": [["x"] * 16]},
        {"annsField": "nothing"},
        {"filter": "id > 5"},
    ],
    ids=str,
)
def test_a_search_that_the_emulator_does_not_know_is_refused(
    cluster: DataPlane, changes: dict[str, Any]
) -> None:
    body: dict[str, Any] = {"collectionName": "medium_articles", "data": [[0.0] * 16]}
    assert cluster.data("entities/search", **body) == [], "It has no direction."
    assert cluster.code("entities/search", **body | changes) == 1100


def test_values_look_as_in_milvus(open_cluster: Callable[..., DataPlane]) -> None:
    cluster = open_cluster(seed.SECOND_DEDICATED_CLUSTER_ID)
    query: dict[str, Any] = {"collectionName": "products", "filter": "id in [1001]"}
    (row,) = cluster.data("entities/query", **query, outputFields=["*"])
    assert row == {
        "id": 1001,
        "name": "blue chair",
        "price": 4.35,
        "in_stock": True,
        "tags": {"Data": {"StringData": {"data": ["blue", "chair"]}}},
        "details": '{"sizes": [1, 2], "weight": 0.125}',
        "vector": embed("blue chair"),
    }
    (row,) = cluster.data("entities/query", **query)
    assert "vector" not in row
    (row,) = cluster.data("entities/query", **query, outputFields=["name"])
    assert row == {"id": 1001, "name": "blue chair"}


def test_keys_may_be_texts_or_larger_than_floats_can_hold(cluster: DataPlane) -> None:
    query: dict[str, Any] = {"dbName": "sales", "limit": 1, "outputFields": ["id"]}
    (order,) = cluster.data("entities/query", **query, collectionName="orders", filter=f"id > {2**60 + 6}")
    assert order == {"id": 2**60 + 7}
    (customer,) = cluster.data(
        "entities/query", **query, collectionName="customers", filter='id > "customer-007"'
    )
    assert customer == {"id": "customer-008"}


def test_every_request_needs_a_key_and_a_body(cluster: DataPlane) -> None:
    for token in ("wrong", "db_admin:", "db_admin:wrong"):
        cluster.token, token = token, cluster.token
        response = cluster.post("databases/list")
        assert (response.status_code, response.json()["code"]) == (401, 1800)
        cluster.token = token
    headers = {"Authorization": f"Bearer {cluster.token}"}
    for content in (b"", b"{", b"[]"):
        response = cluster.client.post("/v2/vectordb/databases/list", content=content, headers=headers)
        assert (response.status_code, response.json()["code"]) == (200, 1801)


def test_a_restored_cluster_has_the_rows_of_its_backup_and_opens_with_its_password(
    api: Api, open_cluster: Callable[..., DataPlane], control_plane: ControlPlane, clock: VirtualClock
) -> None:
    backup = api.create(CLUSTER)
    clock.sleep(10)
    control_plane.clusters[CLUSTER].remove_collection("", "medium_articles", control_plane.now())
    body = {"projectId": seed.PROJECT_ID, "clusterName": "new", "cuSize": 1, "collectionStatus": "KEEP"}
    path = f"/clusters/{CLUSTER}/backups/{backup['backupId']}/restoreCluster"
    restored = api.data("POST", path, json=body)
    new = open_cluster(restored["clusterId"], token=f"db_admin:{restored['password']}")
    assert new.post("databases/list").status_code == 503, "It does not run yet."
    clock.sleep(10)
    assert new.count("medium_articles") == 120
    assert open_cluster().data("collections/list") == ["quick_setup"]
    assert open_cluster(restored["clusterId"]).count("medium_articles") == 120, "The API key opens it too."
    new.client = open_cluster().client
    assert new.post("databases/list").status_code == 401, "The password opens only the new cluster."


def test_a_restored_collection_has_the_rows_of_its_backup(
    api: Api, cluster: DataPlane, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    backup = api.create(CLUSTER)
    clock.sleep(10)
    source = control_plane.clusters[CLUSTER]
    live = next(
        each for each in source.databases_at(control_plane.now())[""] if each.name == "medium_articles"
    )
    broken = RowsInMemory(articles().fields, {0: articles().rows[0]}, articles().indexes)
    source.put_collection("", replace(live, data=broken), control_plane.now())
    names = {"collectionName": live.name, "destCollectionName": "back", "destCollectionStatus": "LOADED"}
    api.data(
        "POST",
        f"/clusters/{CLUSTER}/backups/{backup['backupId']}/restoreCollection",
        json={"destClusterId": CLUSTER, "dbCollections": [{"collections": [names]}]},
    )
    assert cluster.data("collections/list") == ["quick_setup", "medium_articles"]
    clock.sleep(10)
    assert cluster.data("collections/list") == ["quick_setup", "medium_articles", "back"]
    assert cluster.count("medium_articles") == 1
    assert cluster.count("back") == 120


def test_clusters_that_do_not_run_answer_nothing(
    api: Api, cluster: DataPlane, control_plane: ControlPlane
) -> None:
    api.data("POST", f"/clusters/{CLUSTER}/suspend")
    assert cluster.post("databases/list").status_code == 503
    api.data("DELETE", f"/clusters/{CLUSTER}/drop")
    assert cluster.post("databases/list").status_code == 503


def test_the_sample_is_always_the_same_and_near_texts_have_near_vectors() -> None:
    def nearness(one: str, other: str) -> float:
        return sum(a * b for a, b in zip(embed(one), embed(other), strict=True))

    assert embed("red chair")[:2] == [-0.41873, -0.357287]
    assert nearness("red chair", "red chair") == pytest.approx(1, abs=1e-5)
    assert nearness("red chair", "red sofa") > nearness("red chair", "green lamp") + 0.2


def test_rows_without_keys_are_not_found() -> None:
    data = RowsInMemory((Field("id", "Int64", is_primary=True),), {3: {"id": 3}, 1: {"id": 1}})
    assert data.count() == 2
    assert data.page(None, 0, 10) == [{"id": 1}, {"id": 3}]
    assert data.page(1, 0, 10) == [{"id": 3}]
    assert data.page(3, 0, 10) == []
    assert products().with_keys([5]) == []
