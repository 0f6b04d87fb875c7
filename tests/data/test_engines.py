"""Each Dedicated cluster is a Milvus: who may enter, what is in it, and what backups and restores do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest
from pymilvus import MilvusClient, MilvusException

from airflow_provider_zbackup.emulator import ControlPlane, RunningEmulator, Settings, open_data, seed
from airflow_provider_zbackup.emulator.data_plane.sample import articles, embed
from airflow_provider_zbackup.zilliz.client import ZillizClient
from airflow_provider_zbackup.zilliz.flows.collections import Loader, take_manifest
from airflow_provider_zbackup.zilliz.flows.verification import Pair, Scope, verify_with_manifest
from tests.data.cloud import CLUSTER, Cloud, count, wait_until

Connect = Callable[..., MilvusClient]


def rows_of(client: MilvusClient, name: str) -> list[dict[str, Any]]:
    rows = client.query(name, filter="id >= 0", output_fields=["*"], limit=16384)
    return sorted((dict(row) for row in rows), key=lambda row: row["id"])


def test_a_cluster_has_the_data_of_the_start(milvus: MilvusClient) -> None:
    assert milvus.list_databases() == ["default", "sales"]
    assert milvus.list_collections() == ["medium_articles", "quick_setup"]
    assert count(milvus, "medium_articles") == 120
    (found,) = milvus.search(
        "medium_articles", [embed("Database backups in production")], limit=1, output_fields=["title"]
    )
    assert found[0]["entity"]["title"] == "Database backups in production"
    titles = {row["id"]: row["title"] for row in rows_of(milvus, "medium_articles")}
    assert titles == {key: row["title"] for key, row in articles().rows.items()}


def test_all_kinds_of_values_are_those_of_the_start(connect: Connect, cloud: Cloud) -> None:
    milvus = connect(seed.SECOND_DEDICATED_CLUSTER_ID)
    (row,) = milvus.query("products", filter="id == 1001", output_fields=["*"])
    assert (row["name"], row["price"], row["in_stock"]) == ("blue chair", 4.35, True)
    assert (list(row["tags"]), row["details"]) == (["blue", "chair"], {"sizes": [1, 2], "weight": 0.125})
    sales = connect(db_name="sales")
    assert rows_of_texts(sales) == 60
    assert count(sales, "orders") == 300
    (largest,) = sales.query("orders", filter=f"id == {2**60 + 299}", output_fields=["id"])
    assert largest["id"] == 2**60 + 299


def rows_of_texts(client: MilvusClient) -> int:
    return len(client.query("customers", filter='id >= "customer-000"', limit=100))


@pytest.mark.parametrize("token", ["", "wrong", "db_admin:wrong"])
def test_a_wrong_token_is_refused(connect: Connect, token: str) -> None:
    with pytest.raises(MilvusException):
        connect(token=token).list_collections()


def test_only_dedicated_clusters_have_an_engine(emulator: RunningEmulator, cloud: Cloud) -> None:
    has_engine = {
        cluster.cluster_id: cluster.engine is not None for cluster in emulator.control_plane.clusters.values()
    }
    assert has_engine == {
        seed.DEDICATED_CLUSTER_ID: True,
        seed.SECOND_DEDICATED_CLUSTER_ID: True,
        seed.SERVERLESS_CLUSTER_ID: False,
        seed.FREE_CLUSTER_ID: False,
    }
    assert cloud.address(seed.FREE_CLUSTER_ID).startswith(emulator.url)


def test_what_milvus_lite_cannot_do_is_said(milvus: MilvusClient) -> None:
    with pytest.raises(grpc.RpcError, match="Milvus Lite cannot do this"):
        milvus.create_user("someone", "a password")


def test_the_same_address_serves_the_api(milvus: MilvusClient, cloud: Cloud) -> None:
    def ask(path: str, **body: Any) -> Any:
        address = cloud.address(CLUSTER)
        answer = httpx.post(
            f"{address}/v2/vectordb/{path}", json=body, headers=cloud.client.headers, trust_env=False
        ).json()
        assert answer["code"] == 0, answer
        return answer["data"]

    milvus.delete("medium_articles", ids=[3])
    name = {"collectionName": "medium_articles"}
    assert ask("entities/query", **name, outputFields=["count(*)"]) == [{"count(*)": 119}]
    rows = ask("entities/query", **name, filter="id > 1", outputFields=["title"], limit=2)
    assert [row["id"] for row in rows] == [2, 4]
    (row,) = ask("entities/query", **name, filter="id in [5]", outputFields=["*"])
    assert set(row) == set(articles().rows[5]), "also those that are not in the schema"
    ask("entities/delete", **name, filter="id in [4]")
    assert count(milvus, "medium_articles") == 118
    ask("collections/release", **name)
    assert ask("collections/get_load_state", **name) == {"loadState": "LoadStateNotLoad"}
    ask("collections/load", **name)
    assert count(milvus, "medium_articles") == 118
    (index,) = ask("indexes/describe", **name, indexName="vector")
    assert (index["indexType"], index["metricType"], index["totalRows"]) == ("AUTOINDEX", "COSINE", 118)


def test_the_address_serves_nothing_without_the_key(cloud: Cloud) -> None:
    answer = httpx.post(f"{cloud.address(CLUSTER)}/v2/vectordb/collections/list", trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (401, 1800)


def test_a_collection_is_restored_beside_the_live_one(milvus: MilvusClient, cloud: Cloud) -> None:
    before = rows_of(milvus, "medium_articles")
    backup_id = cloud.back_up("medium_articles")
    milvus.delete("medium_articles", filter="id > 10")
    milvus.upsert("medium_articles", [{**before[0], "title": "changed"}])

    job = cloud.end_of(cloud.start_restore(backup_id, ("medium_articles", "copy")))

    assert (job["status"], job["reason"]) == ("SUCCESSFUL", "")
    assert rows_of(milvus, "copy") == before
    assert count(milvus, "medium_articles") == 11, "The live collection stays as it is."
    milvus.drop_collection("medium_articles")
    milvus.delete("copy", ids=[0])
    cloud.end_of(cloud.start_restore(backup_id, ("medium_articles", "medium_articles")))
    assert rows_of(milvus, "medium_articles") == before, "Copies do not change the backup."


def test_a_whole_backup_is_restored_with_its_databases(
    milvus: MilvusClient, connect: Connect, cloud: Cloud
) -> None:
    backup_id = cloud.back_up()
    sales = connect(db_name="sales")
    for client in (milvus, sales):
        for name in client.list_collections():
            client.drop_collection(name)
    milvus.drop_database("sales")

    job = cloud.end_of(cloud.start_restore(backup_id))

    assert job["status"] == "SUCCESSFUL"
    assert milvus.list_collections() == ["medium_articles", "quick_setup"]
    assert sales.list_collections() == ["customers", "orders"]
    sales.load_collection("orders")
    assert count(sales, "orders") == 300


def test_a_cluster_is_restored_and_opened_by_its_password(connect: Connect, cloud: Cloud) -> None:
    backup_id = cloud.back_up()
    restored = cloud.start_cluster_restore(backup_id)
    assert cloud.end_of(restored["jobId"])["status"] == "SUCCESSFUL"
    assert cloud.cluster(restored["clusterId"])["status"] == "RUNNING"

    token = f"{restored['username']}:{restored['password']}"
    inside = connect(restored["clusterId"], token)

    assert count(inside, "medium_articles") == 120
    inside.drop_collection("medium_articles")
    assert count(connect(), "medium_articles") == 120, "They share nothing."
    with pytest.raises(MilvusException):
        connect(CLUSTER, token).list_collections()


def test_verify_finds_nothing_and_then_the_one_row_that_changed(
    milvus: MilvusClient, cloud: Cloud, zilliz: ZillizClient
) -> None:
    manifest = zilliz.run(take_manifest(CLUSTER, ["medium_articles"], sample_rows=1000))
    cloud.end_of(cloud.start_restore(cloud.back_up(), ("medium_articles", "copy")))
    scope = Scope([Pair((None, "medium_articles"), (None, "copy"))])

    def differences() -> Any:
        found = zilliz.run(verify_with_manifest(CLUSTER, manifest, scope, Loader()), note=lambda line: None)
        assert (found["rows"], found["sampled_rows"]) == (120, 120)
        return found["differences"]

    assert differences() == []
    (row,) = milvus.query("copy", filter="id == 7", output_fields=["*"])
    milvus.upsert("copy", [{**row, "claps": row["claps"] + 1}])
    (difference,) = differences()
    assert (difference["what"], difference["found"]) == ("row 7", "other values")


def lets_in(connect: Connect) -> bool:
    """gRPC waits a second after a connection that failed; until then each call fails at once."""
    try:
        connect().list_collections()
    except MilvusException:
        return False
    return True


def test_a_suspended_cluster_is_closed_and_comes_back(connect: Connect, cloud: Cloud) -> None:
    milvus, address = connect(), cloud.address(CLUSTER)
    milvus.insert("medium_articles", [{**articles().rows[0], "id": 777}])
    cloud.call("POST", f"/clusters/{CLUSTER}/suspend")
    with pytest.raises(MilvusException):
        connect(timeout=2).list_collections(timeout=2)

    cloud.call("POST", f"/clusters/{CLUSTER}/resume")

    wait_until(lambda: cloud.cluster(CLUSTER)["status"] == "RUNNING", "it does not come back")
    assert cloud.address(CLUSTER) == address
    wait_until(lambda: lets_in(connect), "nobody can connect")
    assert count(connect(), "medium_articles") == 121, "What was loaded is loaded, with all rows."


def test_a_dropped_cluster_is_closed_and_its_backups_stay(connect: Connect, cloud: Cloud) -> None:
    backup_id = cloud.back_up()
    inside = connect()
    cloud.call("DELETE", f"/clusters/{CLUSTER}/drop")
    with pytest.raises(MilvusException):
        inside.list_collections(timeout=2)

    restored = cloud.start_cluster_restore(backup_id)

    cloud.end_of(restored["jobId"])
    assert count(connect(restored["clusterId"]), "medium_articles") == 120


def test_nothing_goes_on_after_the_end() -> None:
    with open_data() as data:
        control_plane = ControlPlane(settings=Settings(job_seconds=3600), data=data)
        cluster = control_plane.clusters[CLUSTER]
        job = control_plane.start_backup(cluster, operation="create_backup").job
        (thread,) = (each for each in threading.enumerate() if each.name == job.job_id)
    thread.join(60)
    assert not thread.is_alive()


def test_a_reset_brings_back_the_start(connect: Connect, cloud: Cloud, emulator: RunningEmulator) -> None:
    connect().drop_collection("medium_articles")
    emulator.control_plane.reset()
    assert count(connect(), "medium_articles") == 120


def test_the_emulator_answers_while_an_engine_works(cloud: Cloud, emulator: RunningEmulator) -> None:
    engine = emulator.control_plane.clusters[CLUSTER].engine
    assert engine is not None
    with engine._lock:
        # Nobody can take data now. A create that waited for them would not be answered.
        started = cloud.start_backup()
        assert cloud.job(started["jobId"])["status"] == "IN_PROGRESS"
        assert cloud.job(started["jobId"])["progress"] == "99"
        assert cloud.cluster(CLUSTER)["status"] == "RUNNING"
        assert emulator.control_plane.backups[0].status(emulator.control_plane.now()) == "CREATING"
    assert cloud.end_of(started["jobId"])["status"] == "SUCCESSFUL"
