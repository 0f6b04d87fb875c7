"""
Change a collection, with a way back: back up first, and restore if the change fails.

``backup_before`` makes the backup and waits for it, and only then lets the tasks in its block begin. If one
of them fails, the collection is restored beside the live one, and the run still counts as failed.

The migration removes a few articles. With the param ``fail`` it has a mistake and removes nearly all; the
check notices that, and the collection is restored. Applications read through an alias, so the way back is to
point the alias to the restored collection.

To run it, define the connection ``zilliz_default`` (type "Zilliz Cloud", password: an API key). Give your
own cluster and collection when you trigger the DAG; the defaults below are those of the emulator, which
needs no account: ``python -m airflow_provider_zbackup.emulator``.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import Param, dag, task

from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.task_groups import backup_before


@dag(
    schedule=None,
    catchup=False,
    tags=["zilliz", "example"],
    doc_md=__doc__,
    params={
        "cluster_id": Param("in01-31a6b840e50b72d", type="string", description="A Dedicated cluster"),
        "collection": Param("medium_articles", type="string", description="What the migration changes"),
        "fail": Param(False, type="boolean", description="Whether the migration has a mistake"),
    },
)
def guarded_migration() -> None:
    def count_rows(cluster_id: str, collection: str) -> int:
        query = {
            "collectionName": collection,
            "outputFields": ["count(*)"],
            "filter": "",
            "consistencyLevel": "Strong",
        }
        ((count,),) = (
            row.values() for row in ZillizHook().call_data_plane(cluster_id, "entities/query", query)
        )
        return int(count)

    @task
    def migrate(params: dict[str, Any]) -> None:
        """Remove a few articles, or by mistake nearly all."""
        last_to_keep = 10 if params["fail"] else 110
        body = {"collectionName": params["collection"], "filter": f"id > {last_to_keep}"}
        ZillizHook().call_data_plane(params["cluster_id"], "entities/delete", body)

    @task
    def check(params: dict[str, Any]) -> None:
        """Look at what the migration has left."""
        rows = count_rows(params["cluster_id"], params["collection"])
        print(f"{params['collection']} has {rows} rows")
        if rows < 100:
            raise RuntimeError(f"{params['collection']} has only {rows} rows left")

    @task
    def switch_alias(restored: dict[str, Any]) -> None:
        """Stand in for ``MilvusClient(...).alter_alias(collection, alias)``."""
        (collection,) = restored["collections"]
        rows = count_rows(restored["cluster_id"], collection["restored_as"])
        print(f"the alias leads to {collection['restored_as']}, which has {rows} rows")

    with backup_before(
        cluster_id="{{ params.cluster_id }}",
        collections=["{{ params.collection }}"],
        load=True,  # so that what is restored can be searched at once
        deferrable=True,
    ) as guard:
        migrate() >> check()

    switch_alias(guard.restore.output)


dag = guarded_migration()
