"""Calls of the data plane of a cluster: where they go, what they send, and how their answers are read."""

from __future__ import annotations

import asyncio
import json
import socket
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from airflow_provider_zbackup.zilliz import data_operations as operations
from airflow_provider_zbackup.zilliz.client import AsyncZillizClient, ZillizClient
from airflow_provider_zbackup.zilliz.data_models import CollectionDescription, IndexDescription, RowCount
from airflow_provider_zbackup.zilliz.data_operations import CollectionAddress
from airflow_provider_zbackup.zilliz.errors import (
    ZillizAuthenticationError,
    ZillizBadRequestError,
    ZillizConfigurationError,
    ZillizConnectionError,
    ZillizError,
    ZillizNotFoundError,
    ZillizPermissionError,
    ZillizProtocolError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizThrottledError,
)
from airflow_provider_zbackup.zilliz.flows import collections
from airflow_provider_zbackup.zilliz.flows.collections import Loader, observe
from airflow_provider_zbackup.zilliz.operations import Operation, describe_job
from airflow_provider_zbackup.zilliz.settings import ClientSettings
from tests.zilliz.driver import Driver
from tests.zilliz.server import answer, serving

KEY = "key-that-nobody-may-see"
ADDRESS = "https://in01-x.aws-us-west-2.vectordb.zillizcloud.com:19530"
ARTICLES = CollectionAddress(ADDRESS, None, "articles")
SETTINGS = ClientSettings(KEY, source="connection 'x'")


def send(operation: Operation[Any], *answers: httpx.Response | Exception, **settings: Any) -> Any:
    """Return the answer to an operation, and the requests that were sent."""
    requests: list[httpx.Request] = []
    rest = iter(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        reply = next(rest)
        if isinstance(reply, Exception):
            raise reply
        return reply

    with ZillizClient(SETTINGS, transport=httpx.MockTransport(handle), **settings) as client:
        return client.send(operation).value, requests


def ok(data: Any) -> httpx.Response:
    return httpx.Response(200, json={"code": 0, "data": data})


def failure(operation: Operation[Any], *answers: httpx.Response | Exception, **settings: Any) -> ZillizError:
    with pytest.raises(ZillizError) as caught:
        send(operation, *answers, **settings)
    assert KEY not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("operation", "path", "body"),
    [
        (operations.list_databases(ADDRESS), "databases/list", {}),
        (operations.list_collections(ADDRESS, None), "collections/list", {}),
        (operations.list_collections(ADDRESS, "shop"), "collections/list", {"dbName": "shop"}),
        (
            operations.describe_collection(CollectionAddress(ADDRESS, "shop", "a")),
            "collections/describe",
            {"dbName": "shop", "collectionName": "a"},
        ),
        (operations.get_load_state(ARTICLES), "collections/get_load_state", {"collectionName": "articles"}),
        (operations.load_collection(ARTICLES), "collections/load", {"collectionName": "articles"}),
        (operations.release_collection(ARTICLES), "collections/release", {"collectionName": "articles"}),
        (operations.list_indexes(ARTICLES), "indexes/list", {"collectionName": "articles"}),
        (
            operations.describe_index(ARTICLES, "v"),
            "indexes/describe",
            {"collectionName": "articles", "indexName": "v"},
        ),
        (
            operations.count_rows(ARTICLES),
            "entities/query",
            {
                "collectionName": "articles",
                "filter": "",
                "outputFields": ["count(*)"],
                "consistencyLevel": "Strong",
            },
        ),
        (
            operations.next_keys(ARTICLES, "id", None),
            "entities/query",
            {
                "collectionName": "articles",
                "filter": "",
                "outputFields": ["id"],
                "limit": 16384,
                "consistencyLevel": "Strong",
            },
        ),
        (
            operations.next_keys(ARTICLES, "id", 2**60),
            "entities/query",
            {
                "collectionName": "articles",
                "filter": "id > {last}",
                "exprParams": {"last": 2**60},
                "outputFields": ["id"],
                "limit": 16384,
                "consistencyLevel": "Strong",
            },
        ),
        (
            operations.get_rows(ARTICLES, "id", ['a"b', "c\\d"]),
            "entities/query",
            {
                "collectionName": "articles",
                "filter": "id in {keys}",
                "exprParams": {"keys": ['a"b', "c\\d"]},
                "outputFields": ["*"],
                "limit": 2,
                "consistencyLevel": "Strong",
            },
        ),
    ],
)
def test_what_is_sent(operation: Operation[Any], path: str, body: dict[str, Any]) -> None:
    data: Any = [{"count(*)": 1}] if operation.answer is RowCount else []
    if operation.answer in (CollectionDescription,):
        data = {"fields": []}
    elif path == "collections/get_load_state":
        data = {"loadState": "LoadStateLoaded"}
    elif path in ("collections/load", "collections/release"):
        data = {}
    _, (request,) = send(operation, ok(data))
    assert str(request.url) == f"{ADDRESS}/v2/vectordb/{path}"
    assert request.method == "POST"
    assert json.loads(request.content) == body
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Accept-Type-Allow-Int64"] == "true"
    assert operation.idempotent


def test_any_route_can_be_called_but_is_called_once() -> None:
    body = {"collectionName": "articles", "filter": "id > 5", "oddName": [None, 1.5]}
    operation = operations.call(ADDRESS, "entities/delete", body)
    value, (request,) = send(operation, ok({"deleted": 5}))
    assert value == {"deleted": 5}
    assert str(request.url) == f"{ADDRESS}/v2/vectordb/entities/delete"
    assert json.loads(request.content) == body
    assert not operation.idempotent


@pytest.mark.parametrize("path", ["", "entities", "../clusters", "entities/delete?x=1", "a/b/c", "/a/b"])
def test_a_path_that_is_no_route_is_refused(path: str) -> None:
    with pytest.raises(ZillizBadRequestError, match="Unusable path"):
        operations.call(ADDRESS, path, {})


def test_the_control_plane_gets_no_other_headers_than_before() -> None:
    _, (request,) = send(describe_job("job-1"), ok({"jobId": "job-1"}))
    assert request.url.host == "api.cloud.zilliz.com"
    assert "Accept-Type-Allow-Int64" not in request.headers


@pytest.mark.parametrize(
    "address",
    [
        "http://in01-x.vectordb.zillizcloud.com:19530",
        "in01-x.vectordb.zillizcloud.com:19530",
        "ftp://in01-x.vectordb.zillizcloud.com",
        "https://someone@in01-x.vectordb.zillizcloud.com",
        "https://in01-x.vectordb.zillizcloud.com/?a=b",
        "https://in01-x.vectordb.zillizcloud.com/#a",
        "https://",
        "https://[1",
        "http://192.168.0.7:19530",
    ],
)
def test_the_key_goes_nowhere_else(address: str) -> None:
    error = failure(operations.list_databases(address))
    assert isinstance(error, ZillizConfigurationError)
    assert error.unprocessed
    assert f"The API key is not sent to {address!r}" in str(error)


@pytest.mark.parametrize("address", ["http://127.0.0.1:19530/path/", "http://localhost:19530/path"])
def test_the_key_may_go_to_this_machine_without_encryption(address: str) -> None:
    _, (request,) = send(operations.list_databases(address), ok([]))
    assert str(request.url) == f"{address.rstrip('/')}/v2/vectordb/databases/list"


def test_each_cluster_has_a_network_connection_of_its_own() -> None:
    with (
        serving(answer({"code": 0, "data": ["a"]})) as one,
        serving(answer({"code": 0, "data": []})) as other,
        ZillizClient(ClientSettings(KEY, other.url)) as client,
    ):
        for _ in range(2):
            assert client.send(operations.list_databases(one.url)).value == ["a"]
    assert (len(one.requests), len(other.requests)) == (2, 0)


def test_a_redirect_is_not_followed() -> None:
    redirect = httpx.Response(307, headers={"Location": "https://elsewhere.example/"})
    assert isinstance(failure(operations.list_databases(ADDRESS), redirect), ZillizProtocolError)


def test_a_key_that_was_exchanged_is_read_again() -> None:
    refused = httpx.Response(401, json={"code": 1800, "message": "user hasn't authenticated"})
    value, requests = send(
        operations.list_databases(ADDRESS), refused, ok([]), refresh=lambda: ClientSettings("new-key")
    )
    assert value == []
    assert [request.headers["Authorization"] for request in requests] == [f"Bearer {KEY}", "Bearer new-key"]
    assert {request.url.host for request in requests} == {httpx.URL(ADDRESS).host}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (200, 100, ZillizNotFoundError),
        (200, 101, ZillizRefusedError),
        (200, 401, ZillizRefusedError),
        (200, 503, ZillizRefusedError),
        (200, 700, ZillizNotFoundError),
        (200, 800, ZillizNotFoundError),
        (200, 1100, ZillizBadRequestError),
        (200, 1800, ZillizAuthenticationError),
        (200, 1802, ZillizBadRequestError),
        (200, 1807, ZillizThrottledError),
        (200, 65535, ZillizRefusedError),
        (401, 1800, ZillizAuthenticationError),
        (403, 65535, ZillizPermissionError),
        (403, None, ZillizPermissionError),
        (408, 10001, ZillizServerError),
        (429, None, ZillizThrottledError),
        (500, 65535, ZillizServerError),
        (503, None, ZillizServerError),
    ],
)
def test_failures_are_classified(status: int, code: int | None, kind: type[ZillizError]) -> None:
    body = {"message": "no"} if code is None else {"code": code, "message": "no"}
    error = failure(operations.list_databases(ADDRESS), httpx.Response(status, json=body))
    assert type(error) is kind
    assert error.code == code


def test_a_cluster_that_cannot_be_reached_is_told_with_what_to_check() -> None:
    lost = httpx.ConnectTimeout("timed out")
    error = failure(operations.list_databases(ADDRESS), lost)
    assert isinstance(error, ZillizConnectionError)
    assert (
        "No answer from in01-x.aws-us-west-2.vectordb.zillizcloud.com: timed out; check whether this machine "
        "may reach the cluster: its allow list, firewalls, private endpoints" in str(error)
    )
    unknown = httpx.ConnectError("Nodename")
    unknown.__cause__ = RuntimeError("httpcore")
    unknown.__cause__.__context__ = socket.gaierror(8, "Nodename")
    assert "is unknown; check whether this machine may reach the cluster" in str(
        failure(operations.list_databases(ADDRESS), unknown)
    )
    later = httpx.ReadTimeout("timed out")
    assert "allow list" not in str(failure(operations.list_databases(ADDRESS), later))


def test_a_triggerer_reads_no_data() -> None:
    async def run() -> None:
        transport = httpx.MockTransport(lambda request: ok([]))
        async with AsyncZillizClient(SETTINGS, transport=transport) as client:
            await client.send(operations.list_databases(ADDRESS))

    with pytest.raises(TypeError, match="Only a worker reads the data of clusters"):
        asyncio.run(run())


# Answers


def test_a_count_may_come_as_a_text() -> None:
    value, _ = send(operations.count_rows(ARTICLES), ok([{"count(*)": "1200"}]))
    assert value.rows == 1200
    assert isinstance(failure(operations.count_rows(ARTICLES), ok([])), ZillizProtocolError)


def test_a_description_has_parameters_as_a_mapping() -> None:
    field = {
        "name": "v",
        "type": "FloatVector",
        "params": [{"key": "dim", "value": 8}, {"key": "note"}, {"odd": 1}],
    }
    value, _ = send(operations.describe_collection(ARTICLES), ok({"fields": [field], "properties": None}))
    assert value.fields[0].params == {"dim": "8", "note": ""}
    assert value.properties == {}
    assert value.key is None
    index = {"fieldName": "v", "indexParams": {"M": "8"}}
    value, _ = send(operations.describe_index(ARTICLES, "v"), ok([index]))
    assert value == [IndexDescription(field_name="v", index_params={"M": "8"})]


@pytest.mark.parametrize(
    ("fields", "rows", "text"),
    [
        ([{"name": "id", "type": "Int64"}], [], "does not show the primary key of articles"),
        ([{"name": "id", "type": "Int64", "primaryKey": True}], [{"x": 1}], "without its primary key"),
        ([{"name": "id", "type": "Int64", "primaryKey": True}], [{"id": "x"}], "without its primary key"),
    ],
)
def test_rows_without_keys_are_not_compared(fields: Any, rows: Any, text: str) -> None:
    answers: dict[str, Any] = {
        "describe collection": {"fields": fields},
        "list indexes of collection": [],
        "get load state of collection": {"loadState": "LoadStateLoaded"},
        "count rows of collection": [{"count(*)": 1}],
        "list keys of collection": rows,
    }
    driver = Driver(lambda operation: operation.read(answers[operation.name]))
    with pytest.raises(ZillizProtocolError, match=text):
        driver.run(observe(ARTICLES, sample_rows=5, loader=Loader()))


class Collection:
    """
    A collection that nothing but its keys is known of.

    :param states: its load states, one for each time that somebody asks; the last one for ever
    """

    def __init__(self, keys: Sequence[Any], type: str = "Int64", states: Sequence[str] = ("Loaded",)) -> None:
        self.keys = keys
        self.fields: list[dict[str, Any]] = [{"name": "id", "type": type, "primaryKey": True}]
        self.states = list(states)

    def answer(self, operation: Operation[Any]) -> Any:
        request: Any = operation.request
        match operation.name:
            case "describe collection":
                return operation.read({"fields": self.fields})
            case "get load state of collection":
                state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
                return operation.read({"loadState": f"LoadState{state}"})
            case "count rows of collection":
                return RowCount(rows=len(self.keys))
            case "list keys of collection":
                start = bisect_right(self.keys, request.expr_params["last"]) if request.expr_params else 0
                return [{"id": key} for key in self.keys[start : start + request.limit]]
            case "get rows of collection":
                return [{"id": key} for key in request.expr_params["keys"]]
        return []


def test_textual_keys_are_looked_for_only_among_the_first_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collections, "KEY_PAGES", 2)
    monkeypatch.setattr(collections, "LARGEST_PAGE", 3)
    driver = Driver(Collection([f"{number:03}" for number in range(1000)], "VarChar").answer)
    assert list(driver.run(observe(ARTICLES, sample_rows=3)).rows) == ["000", "002", "004"]
    assert driver.calls.count("list keys of collection") == 2


def test_a_collection_that_is_being_loaded_is_waited_for_and_left_so() -> None:
    driver = Driver(Collection(range(5), states=["Loading", "Loading", "Loaded"]).answer)
    assert list(driver.run(observe(ARTICLES, sample_rows=5)).rows) == [0, 1, 2, 3, 4]
    assert not {"load collection", "release collection"} & set(driver.calls)


def test_rows_that_vanish_while_they_are_looked_for_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collections, "LARGEST_PAGE", 3)
    empty = Collection([])

    def answer(operation: Operation[Any]) -> Any:
        return RowCount(rows=1000) if operation.name.startswith("count") else empty.answer(operation)

    assert Driver(answer).run(observe(ARTICLES, sample_rows=3)).rows == {}


@pytest.mark.parametrize(
    "keys",
    [
        range(0, 7_000_000, 7),
        range(-(2**63), 2**63 - 1, 2**45),
        [*range(2**62 - 600_000, 2**62), *range(2**62 + 2**40, 2**62 + 2**40 + 600_000)],
    ],
    ids=["dense", "all of the range", "two clusters"],
)
def test_integer_keys_of_a_large_collection_are_taken_from_all_of_their_range(
    monkeypatch: pytest.MonkeyPatch, keys: Sequence[int]
) -> None:
    monkeypatch.setattr(collections, "LARGEST_PAGE", 100)
    driver = Driver(Collection(keys).answer)
    seen = driver.run(observe(ARTICLES, sample_rows=130, loader=Loader())).rows
    sample = sorted(key for key in seen if isinstance(key, int))
    assert 60 <= len(sample) <= 130
    assert sample[0] == keys[0]
    span = keys[-1] - keys[0]
    assert keys[-1] - sample[-1] <= span / 50, "The end of the range is reached."
    assert driver.calls.count("list keys of collection") <= 1 + 64 + 64


def test_large_rows_are_asked_for_in_small_portions() -> None:
    fields: list[dict[str, Any]] = [
        {"name": "id", "type": "Int64", "primaryKey": True},
        {"name": "vector", "type": "FloatVector", "params": {"dim": "32768"}},
        {"name": "text", "type": "VarChar", "params": {"max_length": "65535"}},
        {"name": "odd", "type": "VarChar", "params": {"max_length": "many"}},
    ]

    collection = Collection(range(40))
    collection.fields = fields
    driver = Driver(collection.answer)
    seen = driver.run(observe(ARTICLES, sample_rows=40, loader=Loader()))
    assert list(seen.rows) == list(range(40))
    sizes = [step.request.limit for step in driver.sent if step.name == "get rows of collection"]  # type: ignore[union-attr]
    assert sizes == [15, 15, 10]
