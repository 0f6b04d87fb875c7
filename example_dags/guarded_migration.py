"""
Change a collection, with a way back: back up first, and restore if the change fails.

``backup_before`` makes the backup and waits for it, and only then lets the tasks in its block begin. If one
of them fails, the collection is restored beside the live one, and the run still counts as failed.

Applications read through an alias, so the way back is to point the alias to the restored collection.

To run it, define the connection ``zilliz_default`` (type "Zilliz Cloud", password: an API key). Give your
own cluster and collection when you trigger the DAG; the defaults below are those of the emulator, which
needs no account: ``python -m airflow_provider_zbackup.emulator``. With the param ``fail`` the migration
fails halfway.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import Param, dag, task

from airflow_provider_zbackup.task_groups import backup_before


@dag(
    schedule=None,
    catchup=False,
    tags=["zilliz", "example"],
    doc_md=__doc__,
    params={
        "cluster_id": Param("in01-31a6b840e50b72d", type="string", description="A Dedicated cluster"),
        "collection": Param("medium_articles", type="string", description="What the migration changes"),
        "fail": Param(False, type="boolean", description="Whether the migration fails halfway"),
    },
)
def guarded_migration() -> None:
    @task
    def migrate(params: dict[str, Any]) -> None:
        """Stand in for the DDL."""
        if params["fail"]:
            raise RuntimeError(f"{params['collection']} is half migrated")
        print(f"migrated {params['collection']}")

    @task
    def check() -> None:
        """Stand in for the tests of the new collection; their failure counts too."""

    @task
    def switch_alias(restored: dict[str, Any]) -> None:
        """Stand in for ``MilvusClient(...).alter_alias(collection, alias)``."""
        (collection,) = restored["collections"]
        print(f"the alias leads to {collection['restored_as']}")

    with backup_before(
        cluster_id="{{ params.cluster_id }}", collections=["{{ params.collection }}"], deferrable=True
    ) as guard:
        migrate() >> check()

    switch_alias(guard.restore.output)


dag = guarded_migration()
