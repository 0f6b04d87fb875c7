"""
Each endpoint of a cluster's data plane as an immutable value, as ``operations.py`` has those of the API.

They are those of Milvus's REST API, version 2, below the cluster's ``connectAddress``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict

from airflow_provider_zbackup.zilliz.data_models import (
    CollectionDescription,
    Done,
    IndexDescription,
    LoadState,
    RowCount,
)
from airflow_provider_zbackup.zilliz.errors import ZillizBadRequestError, ZillizError, classify_data
from airflow_provider_zbackup.zilliz.operations import Operation
from airflow_provider_zbackup.zilliz.requests import Request

T = TypeVar("T")

#: The most rows of one answer.
LARGEST_PAGE = 16384
#: The only level at which a count is exact: it sees all that was written before.
STRONG = "Strong"


@dataclass(frozen=True)
class DataOperation(Operation[T]):
    """One call of a cluster's data plane."""

    # Without it a server may send integers as texts.
    headers: ClassVar[Mapping[str, str]] = {"Accept-Type-Allow-Int64": "true"}

    def classify(self, http_status: int, code: int) -> type[ZillizError]:
        return classify_data(http_status, code)


class DataRequest(Request):
    """Base of the bodies of the data plane. Without a database it is the default one."""

    model_config = ConfigDict(strict=False)

    db_name: str | None = None


class CollectionRequest(DataRequest):
    """Names a collection."""

    collection_name: str


class IndexRequest(CollectionRequest):
    """Names an index."""

    index_name: str


class QueryRequest(CollectionRequest):
    """Asks for rows."""

    filter: str = ""
    expr_params: Mapping[str, Any] | None = None
    output_fields: tuple[str, ...]
    limit: int | None = None
    consistency_level: str = STRONG


class AnyRequest(Request):
    """Has whatever fields a caller gives."""

    model_config = ConfigDict(extra="allow", strict=False)


@dataclass(frozen=True)
class CollectionAddress:
    """
    Where a collection is.

    :param address: of the cluster's data plane
    :param database: ``None`` means the default one
    """

    address: str = field(repr=False)
    database: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.database}.{self.name}" if self.database else self.name


def _post(
    name: str, subject: str, address: str, path: str, answer: type[T], request: Request
) -> DataOperation[T]:
    return DataOperation(
        name, subject, "POST", f"/v2/vectordb/{path}", answer, request=request, address=address
    )


def list_databases(address: str) -> DataOperation[list[str]]:
    """https://docs.zilliz.com/reference/restful/list-databases-v2"""
    return _post("list databases", "", address, "databases/list", list[str], DataRequest())


def list_collections(address: str, database: str | None) -> DataOperation[list[str]]:
    """https://docs.zilliz.com/reference/restful/list-collections-v2"""
    what = f"of database {database or 'default'}"
    request = DataRequest(db_name=database)
    return _post("list collections", what, address, "collections/list", list[str], request)


def describe_collection(where: CollectionAddress) -> DataOperation[CollectionDescription]:
    """https://docs.zilliz.com/reference/restful/describe-collection-v2"""
    return _collection("describe collection", where, "collections/describe", CollectionDescription)


def get_load_state(where: CollectionAddress) -> DataOperation[LoadState]:
    """https://docs.zilliz.com/reference/restful/get-collection-load-state-v2"""
    return _collection("get load state of collection", where, "collections/get_load_state", LoadState)


def load_collection(where: CollectionAddress) -> DataOperation[Done]:
    """https://docs.zilliz.com/reference/restful/load-collection-v2"""
    return _collection("load collection", where, "collections/load", Done)


def release_collection(where: CollectionAddress) -> DataOperation[Done]:
    """https://docs.zilliz.com/reference/restful/release-collection-v2"""
    return _collection("release collection", where, "collections/release", Done)


def list_indexes(where: CollectionAddress) -> DataOperation[list[str]]:
    """https://docs.zilliz.com/reference/restful/list-indexes-v2"""
    return _collection("list indexes of collection", where, "indexes/list", list[str])


def describe_index(where: CollectionAddress, index: str) -> DataOperation[list[IndexDescription]]:
    """https://docs.zilliz.com/reference/restful/describe-index-v2"""
    request = IndexRequest(db_name=where.database, collection_name=where.name, index_name=index)
    return _post(
        "describe index",
        f"{index} of {where}",
        where.address,
        "indexes/describe",
        list[IndexDescription],
        request,
    )


def count_rows(where: CollectionAddress) -> DataOperation[RowCount]:
    """Count the rows exactly: https://docs.zilliz.com/reference/restful/query-v2"""
    return _query("count rows of collection", where, RowCount, output_fields=("count(*)",))


def next_keys(
    where: CollectionAddress, key: str, after: int | str | None, limit: int = LARGEST_PAGE
) -> DataOperation[list[dict[str, Any]]]:
    """
    Return a page of primary keys: https://docs.zilliz.com/reference/restful/query-v2

    :param key: name of the field that is the primary key
    :param after: only greater ones; ``None`` means the first ones
    :param limit: the most keys
    """
    bounds: dict[str, Any] = {}
    if after is not None:
        bounds = {"filter": f"{key} > {{last}}", "expr_params": {"last": after}}
    return _query(
        "list keys of collection",
        where,
        list[dict[str, Any]],
        output_fields=(key,),
        limit=limit,
        **bounds,
    )


def get_rows(
    where: CollectionAddress, key: str, keys: Sequence[int | str], fields: Sequence[str] = ("*",)
) -> DataOperation[list[dict[str, Any]]]:
    """
    Return rows by their primary keys: https://docs.zilliz.com/reference/restful/query-v2

    :param key: name of the field that is the primary key
    :param keys: their values, at most 16,384
    :param fields: the fields to return; by default all, with vectors and fields that are not in the schema
    """
    return _query(
        "get rows of collection",
        where,
        list[dict[str, Any]],
        filter=f"{key} in {{keys}}",
        expr_params={"keys": list(keys)},
        output_fields=tuple(fields),
        limit=len(keys),
    )


def call(address: str, path: str, body: Mapping[str, Any]) -> DataOperation[Any]:
    """
    Call any route, once.

    :param path: below ``/v2/vectordb/``, such as ``entities/search``
    """
    if not re.fullmatch(r"[a-z_]+/[a-z_]+", path):
        raise ZillizBadRequestError(
            f"Unusable path {path!r}, not such as 'entities/search'.", unprocessed=True
        )
    operation: DataOperation[Any] = _post("call", path, address, path, Any, AnyRequest(**body))
    return replace(operation, idempotent=False)


def _collection(name: str, where: CollectionAddress, path: str, answer: type[T]) -> DataOperation[T]:
    request = CollectionRequest(db_name=where.database, collection_name=where.name)
    return _post(name, str(where), where.address, path, answer, request)


def _query(name: str, where: CollectionAddress, answer: type[T], **query: Any) -> DataOperation[T]:
    request = QueryRequest(db_name=where.database, collection_name=where.name, **query)
    return _post(name, str(where), where.address, "entities/query", answer, request)
