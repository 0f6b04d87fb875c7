"""
The operations of the data plane: they show and load collections, and count, return, find and delete rows.

They are those of a cluster, below its ``connectAddress``, not of the control plane. Error codes are not
documented: these are those of Milvus.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from zlib import crc32

from airflow_provider_zbackup.emulator.api.request import ApiRequest, Fields
from airflow_provider_zbackup.emulator.control_plane import ControlPlane, database_name
from airflow_provider_zbackup.emulator.data_plane.collection_data import (
    CollectionData,
    Field,
    Index,
    Key,
    Row,
    primary_field,
)
from airflow_provider_zbackup.emulator.errors import ApiError
from airflow_provider_zbackup.emulator.formats import Json
from airflow_provider_zbackup.emulator.records import Cluster, Collection

NO_COLLECTION = 100
NOT_LOADED = 101
NO_INDEX = 700
NO_DATABASE = 800
BAD_PARAMETER = 1100
NOT_AUTHENTICATED = 1800
BAD_JSON = 1801
MISSING_FIELD = 1802

#: The most rows of one answer, with those that its offset skips.
WINDOW = 16384
_FILTER = re.compile(r"\s*(\w+)\s*(>|in)\s*(.+?)\s*", re.DOTALL)
_ARRAYS = {
    "Bool": "BoolData",
    "Int8": "IntData",
    "Int16": "IntData",
    "Int32": "IntData",
    "Int64": "LongData",
    "Float": "FloatData",
    "Double": "DoubleData",
    "VarChar": "StringData",
}


def list_databases(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/list-databases-v2"""
    _body(request)
    groups = _cluster(control_plane, request).databases_at(control_plane.now())
    return sorted({"default", *(database or "default" for database in groups)})


def list_collections(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/list-collections-v2"""
    return [collection.name for collection in _group(control_plane, request)]


def describe_collection(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/describe-collection-v2"""
    collection = _find(control_plane, request)
    data = collection.data
    vectors = [each.name for each in data.fields if each.type.endswith("Vector")]
    return {
        "collectionName": collection.name,
        "collectionID": crc32(collection.name.encode()),
        "description": collection.description,
        "autoId": False,
        "enableDynamicField": data.has_dynamic_fields,
        "consistencyLevel": "Bounded",
        "aliases": [],
        "fields": [_describe_field(number, field) for number, field in enumerate(data.fields, 100)],
        "functions": [],
        "indexes": [
            {"fieldName": index.field_name, "indexName": index.name, "metricType": index.metric}
            for index in data.indexes
            if index.field_name == vectors[0]
        ],
        "load": _load_state(control_plane, collection),
        "partitionsNum": 1,
        "properties": [],
        "shardsNum": 1,
    }


def get_collection_stats(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/get-collection-stats-v2"""
    return {"rowCount": _find(control_plane, request).data.count()}


def get_load_state(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/get-collection-load-state-v2"""
    state = _load_state(control_plane, _find(control_plane, request))
    if state == "LoadStateNotLoad":
        return {"loadState": state}
    return {"loadState": state, "loadProgress": 100 if state == "LoadStateLoaded" else 50}


def load_collection(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/load-collection-v2"""
    collection = _find(control_plane, request)
    vectors = {field.name for field in collection.data.fields if field.type.endswith("Vector")}
    if vectors - {index.field_name for index in collection.data.indexes}:
        raise ApiError(NO_INDEX, f"there is no vector index on collection[collection={collection.name}]")
    if collection.status != "LOADED":
        until = control_plane.now() + control_plane.settings.load_seconds
        _put(control_plane, request, replace(collection, status="LOADED", loading_until=until))
    return {}


def release_collection(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/release-collection-v2"""
    _put(control_plane, request, replace(_find(control_plane, request), status="UNLOADED"))
    return {}


def list_indexes(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/list-indexes-v2"""
    return [index.name for index in _find(control_plane, request).data.indexes]


def describe_index(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """https://docs.zilliz.com/reference/restful/describe-index-v2"""
    data = _find(control_plane, request).data
    name = _text(_body(request), "indexName")
    found = [index for index in data.indexes if index.name == name]
    if not found:
        raise ApiError(NO_INDEX, f"index not found[indexName={name}]")
    return [_describe_index(index, data.count()) for index in found]


def query_entities(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/query-v2

    Of filters, only those on the primary key are known here: ``id > 5`` and ``id in [5, 6]``, each also with
    ``exprParams``.
    """
    body = _body(request)
    data, wanted = _find_loaded(control_plane, request).data, body.texts("outputFields")
    text = body.text("filter", "")
    if wanted == ["count(*)"]:
        if text:
            raise ApiError(BAD_PARAMETER, "This emulator counts only all rows.")
        return [{"count(*)": data.count()}]
    limit, offset = (_whole_number(body, name) for name in ("limit", "offset"))
    limit = 100 if limit is None else limit
    offset = offset or 0
    if limit < 1 or offset < 0 or offset + limit > WINDOW:
        raise ApiError(BAD_PARAMETER, f"limit + offset must be within [1, {WINDOW}]")
    after, keys = _read_filter(data, text, body)
    rows = data.page(after, offset, limit) if keys is None else data.with_keys(keys)[offset : offset + limit]
    return [_show_row(data, row, wanted) for row in rows]


def delete_entities(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/delete-v2

    It knows the same filters as a query.
    """
    collection = _find_loaded(control_plane, request)
    body, data = _body(request), collection.data
    after, keys = _read_filter(data, _text(body, "filter"), body)
    if keys is None:
        key = primary_field(data).name
        keys = [row[key] for row in data.page(after, 0, data.count())]
    _put(control_plane, request, replace(collection, data=data.without(keys)))
    return {}


def search_entities(control_plane: ControlPlane, request: ApiRequest) -> Json:
    """
    https://docs.zilliz.com/reference/restful/search-v2

    It compares all rows, so the result is exact, by cosine, and knows one vector and no filter.
    """
    body = _body(request)
    data = _find_loaded(control_plane, request).data
    vectors, limit = body.values.get("data"), _whole_number(body, "limit")
    name = body.text("annsField", "") or next(
        field.name for field in data.fields if field.type.endswith("Vector")
    )
    if not isinstance(vectors, list) or len(vectors) != 1 or body.text("filter", ""):
        raise ApiError(BAD_PARAMETER, "This emulator searches for one vector, without a filter.")
    try:
        found = [
            {**_show_row(data, row, body.texts("outputFields") or ["id"]), "distance": cosine}
            for row in data.page(None, 0, data.count())
            if (cosine := _cosine(row[name], vectors[0])) is not None
        ]
    except (KeyError, TypeError, ValueError):
        raise ApiError(BAD_PARAMETER, f"The vector does not fit to the field {name}.") from None
    return sorted(found, key=lambda row: -row["distance"])[: 10 if limit is None else limit]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return how near two vectors are, from -1 to 1; None if one of them has no direction."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else None


def _find_loaded(control_plane: ControlPlane, request: ApiRequest) -> Collection:
    collection = _find(control_plane, request)
    if _load_state(control_plane, collection) != "LoadStateLoaded":
        raise ApiError(NOT_LOADED, f"collection not loaded[collection={collection.name}]")
    return collection


def _cluster(control_plane: ControlPlane, request: ApiRequest) -> Cluster:
    """Return the cluster. What one answers that does not run is not documented: HTTP 503 is a guess."""
    cluster = control_plane.clusters.get(request.path["cluster_id"])
    if cluster is None or cluster.status(control_plane.now()) != "RUNNING":
        raise ApiError(503, "The cluster is not running.", http_status=503)
    return cluster


def _find(control_plane: ControlPlane, request: ApiRequest) -> Collection:
    name = _text(_body(request), "collectionName")
    for collection in _group(control_plane, request):
        if collection.name == name:
            return collection
    raise ApiError(NO_COLLECTION, f"can't find collection[collection={name}]")


def _group(control_plane: ControlPlane, request: ApiRequest) -> Sequence[Collection]:
    """Return the collections of a database."""
    database = _database(_body(request))
    groups = _cluster(control_plane, request).databases_at(control_plane.now())
    if database and database not in groups:
        raise ApiError(NO_DATABASE, f"database not found[database={database}]")
    return groups.get(database, [])


def _put(control_plane: ControlPlane, request: ApiRequest, collection: Collection) -> None:
    cluster = _cluster(control_plane, request)
    cluster.put_collection(_database(_body(request)), collection, control_plane.now())


def _body(request: ApiRequest) -> Fields:
    if not request.content.strip():
        raise ApiError(BAD_JSON, "The request has no body.")
    try:
        return request.body
    except ApiError as error:
        raise ApiError(BAD_JSON, error.message) from None


def _text(body: Fields, name: str) -> str:
    value = body.values.get(name)
    if not isinstance(value, str) or not value:
        raise ApiError(MISSING_FIELD, f"missing required parameters: {name}")
    return value


def _database(body: Fields) -> str:
    return database_name(body.text("dbName", "default"))


def _whole_number(body: Fields, name: str) -> int | None:
    value = body.values.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise ApiError(BAD_JSON, f"{name} must be a whole number")
    return value


def _load_state(control_plane: ControlPlane, collection: Collection) -> str:
    if collection.status != "LOADED":
        return "LoadStateNotLoad"
    return "LoadStateLoaded" if control_plane.now() >= collection.loading_until else "LoadStateLoading"


def _describe_field(number: int, field: Field) -> dict[str, Json]:
    answer = {
        "id": number,
        "name": field.name,
        "type": field.type,
        "description": "",
        "primaryKey": field.is_primary,
        "partitionKey": False,
        "clusteringKey": False,
        "autoId": False,
        "nullable": field.nullable,
        "params": [{"key": key, "value": value} for key, value in field.params.items()],
    }
    return answer | {"elementType": field.element_type} if field.element_type else answer


def _describe_index(index: Index, rows: int) -> dict[str, Json]:
    return {
        "indexName": index.name,
        "fieldName": index.field_name,
        "indexType": index.type,
        "metricType": index.metric,
        "totalRows": rows,
        "indexedRows": rows,
        "pendingRows": 0,
        "indexState": "Finished",
        "failReason": "",
        "indexParams": [{"key": key, "value": value} for key, value in index.params.items()],
    }


def _read_filter(data: CollectionData, text: str, body: Fields) -> tuple[Key | None, Sequence[Key] | None]:
    """Return the key after which rows are wanted, and the keys that are wanted, each None for all."""
    if not text.strip():
        return None, None
    refusal = ApiError(BAD_PARAMETER, f"This emulator cannot filter by {text!r}.")
    match = _FILTER.fullmatch(text)
    if match is None or match[1] != primary_field(data).name:
        raise refusal
    operator, written = match[2], match[3]
    try:
        if written.startswith("{"):
            value = (body.values.get("exprParams") or {})[written[1:-1]]
        else:
            value = json.loads(written)
    except (ValueError, KeyError):
        raise refusal from None
    kind = int if primary_field(data).type == "Int64" else str
    values = value if operator == "in" else [value]
    if not isinstance(values, list) or not all(type(each) is kind for each in values):
        raise refusal
    return (None, values) if operator == "in" else (values[0], None)


def _show_row(data: CollectionData, row: Row, wanted: Sequence[str]) -> dict[str, Json]:
    """Return a row as the API shows it. ``*`` means all fields; no fields mean all but the vectors."""
    fields = {field.name: field for field in data.fields}
    names = set(row) if "*" in wanted else {primary_field(data).name, *wanted}
    if not wanted:
        names = {name for name in row if name not in fields or not fields[name].type.endswith("Vector")}
    return {name: _show_value(fields.get(name), value) for name, value in row.items() if name in names}


def _show_value(field: Field | None, value: Json) -> Json:
    """Return a value as the API shows it: JSON as a text, arrays in an envelope, other values as they are."""
    if value is not None and field is not None and field.type == "JSON":
        return json.dumps(value)
    if value is not None and field is not None and field.type == "Array":
        return {"Data": {_ARRAYS[field.element_type]: {"data": value}}}
    return value
