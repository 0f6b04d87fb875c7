"""What both clients send, and how they read what comes back, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_provider_zbackup.zilliz import client as client_module
from airflow_provider_zbackup.zilliz.client import (
    AsyncZillizClient,
    ZillizClient,
)
from airflow_provider_zbackup.zilliz.errors import (
    ZillizAuthenticationError,
    ZillizBadRequestError,
    ZillizConnectionError,
    ZillizError,
    ZillizNotFoundError,
    ZillizProtocolError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizThrottledError,
)
from airflow_provider_zbackup.zilliz.flows.steps import Reply
from airflow_provider_zbackup.zilliz.models import Job
from airflow_provider_zbackup.zilliz.operations import (
    Operation,
    create_backup,
    describe_backup,
    describe_job,
    list_backups,
    list_projects,
)
from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest
from airflow_provider_zbackup.zilliz.settings import ClientSettings
from tests.zilliz.driver import at
from tests.zilliz.server import DROP, HANG, Trickle, answer, serving, unused_url

KEY = "key-that-nobody-may-see"
DESCRIBE = describe_job("job-1")
JOB = answer({"code": 0, "data": {"jobId": "job-1"}})
Send = Callable[..., Reply[Any]]


def send_sync(url: str, operation: Operation[Any], **settings: Any) -> Reply[Any]:
    with ZillizClient(ClientSettings(KEY, url, **settings)) as client:
        return client.send(operation)


def send_async(url: str, operation: Operation[Any], **settings: Any) -> Reply[Any]:
    async def send() -> Reply[Any]:
        async with await AsyncZillizClient.open(ClientSettings(KEY, url, **settings)) as client:
            return await client.send(operation)

    return asyncio.run(send())


@pytest.fixture(params=[send_sync, send_async], ids=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Send:
    return request.param  # type: ignore[no-any-return]


def failure(send: Send, *answers: bytes | None, operation: Operation[Any] = DESCRIBE, **settings: Any) -> Any:
    """Return the error that these answers lead to."""
    with serving(*answers) as server, pytest.raises(ZillizError) as caught:
        send(server.url, operation, **settings)
    assert KEY not in str(caught.value.to_dict())
    return caught.value


# Requests


@pytest.mark.parametrize(
    ("operation", "line"),
    [
        (describe_job("job-1"), "GET /v2/jobs/job-1 HTTP/1.1"),
        (describe_job("a/../b?c#d e%2f"), "GET /v2/jobs/a%2F..%2Fb%3Fc%23d%20e%252f HTTP/1.1"),
        (describe_backup("größe", "b"), "GET /v2/clusters/gr%C3%B6%C3%9Fe/backups/b HTTP/1.1"),
        (
            list_backups(project_id="a&b=c d+ü", page=2),
            "GET /v2/backups?projectId=a%26b%3Dc+d%2B%C3%BC&pageSize=100&currentPage=2 HTTP/1.1",
        ),
        (list_projects(), "GET /v2/projects HTTP/1.1"),
    ],
)
def test_an_id_arrives_as_it_was_quoted(send: Send, operation: Operation[Any], line: str) -> None:
    data: Any = {"backups": []} if "/v2/backups" in line else [] if "/v2/projects" in line else {}
    with serving(answer({"code": 0, "data": data})) as server:
        send(server.url, operation)
    assert server.lines == [line]


def test_a_base_url_may_have_a_path(send: Send) -> None:
    with serving(JOB) as server:
        send(f"{server.url}/gateway", DESCRIBE)
    assert server.lines == ["GET /gateway/v2/jobs/job-1 HTTP/1.1"]


def test_headers(send: Send) -> None:
    with serving(JOB) as server:
        send(server.url, DESCRIBE)
    assert {
        name: server.header(name) for name in ("Authorization", "Accept", "User-Agent", "Host", "Cookie")
    } == {
        "Authorization": f"Bearer {KEY}",
        "Accept": "application/json",
        "User-Agent": "airflow-provider-zbackup",
        "Host": server.url.removeprefix("http://"),
        "Cookie": None,
    }
    assert server.body() == b""


def test_a_create() -> None:
    with serving(answer({"code": 0, "data": {"backupId": "b"}})) as server:
        reply = send_sync(server.url, create_backup("c", CreateBackupRequest.of(["ä"])))
    assert reply.value.backup_id == "b"
    assert server.lines == ["POST /v2/clusters/c/backups/create HTTP/1.1"]
    assert server.header("Content-Type") == "application/json"
    assert json.loads(server.body()) == {
        "backupType": "COLLECTION",
        "dbCollections": [{"collectionNames": ["ä"]}],
    }


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
def test_redirects_are_not_followed(send: Send, status: str) -> None:
    with serving(JOB) as other:
        error = failure(send, answer({"code": 0}, status, Location=f"{other.url}/v2/jobs/job-1"))
    assert other.requests == []
    assert (type(error), error.http_status) == (ZillizProtocolError, int(status[:3]))
    assert error.unprocessed, "what is redirected was not done"


# Answers


@pytest.mark.parametrize(
    "body",
    [
        {"code": 0, "data": {"jobId": "job-1"}},
        {"code": "0", "data": {"jobId": "job-1"}},
        {"code": 200, "data": {"jobId": "job-1"}},
        {"data": {"jobId": "job-1"}},
        {"code": 0, "jobId": "job-1"},
        {"code": 0, "data": {"jobId": "job-1", "new": [{}]}, "requestId": "r"},
    ],
)
def test_success(send: Send, body: Any) -> None:
    with serving(answer(body, Date="Mon, 02 Mar 2026 10:00:05 GMT")) as server:
        assert send(server.url, DESCRIBE) == Reply(Job(job_id="job-1"), at(5))


def test_an_answer_without_a_usable_date(send: Send) -> None:
    with serving(answer({"code": 0, "data": {}}, Date="today")) as server:
        assert send(server.url, DESCRIBE) == Reply(Job(), None)


@pytest.mark.parametrize(
    ("reply", "kind", "facts"),
    [
        (
            answer({"code": 96026, "message": "Job not found."}, requestid="r1"),
            ZillizNotFoundError,
            {"code": 96026, "http_status": 200, "request_id": "r1", "unprocessed": True},
        ),
        (
            answer({"code": "21119", "message": "The apikey is illegal"}, "401 Unauthorized"),
            ZillizAuthenticationError,
            {"code": 21119, "http_status": 401, "unprocessed": True},
        ),
        (answer({"code": 12345}), ZillizRefusedError, {"code": 12345, "unprocessed": True}),
        (
            answer({"code": 0, "data": {}}, "503 Service Unavailable", Retry_After="7"),
            ZillizServerError,
            {"code": None, "http_status": 503, "retry_after": 7.0, "unprocessed": False},
        ),
        (
            answer(b"<html>", "502 Bad Gateway", Date="Mon, 02 Mar 2026 10:00:00 GMT",
                   Retry_After="Mon, 02 Mar 2026 10:00:09 GMT"),
            ZillizServerError,
            {"retry_after": 9.0, "request_id": None},
        ),
        (answer([], "429 Too Many"), ZillizThrottledError, {"http_status": 429, "unprocessed": True}),
        (answer({"code": None}, "500 No"), ZillizServerError, {"code": None, "unprocessed": False}),
        (answer({"code": "?"}, "400 No"), ZillizBadRequestError, {"code": None, "unprocessed": True}),
        *((answer(b"", status), ZillizRefusedError, {"code": None, "unprocessed": True})
          for status in ("403 Forbidden", "404 Not Found")),
    ],
)  # fmt: skip
def test_refusals(send: Send, reply: bytes, kind: type[ZillizError], facts: dict[str, Any]) -> None:
    error = failure(send, reply)
    assert type(error) is kind
    assert {name: getattr(error, name) for name in facts} == facts


@pytest.mark.parametrize("code", [408, 500, 502, 503, 504, 599])
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "500 Internal Server Error"])
def test_a_server_in_trouble_may_have_done_the_work(code: int, status: str) -> None:
    error = failure(send_sync, answer({"code": code}, status))
    assert (type(error), error.code, error.unprocessed) == (ZillizServerError, code, False)


@pytest.mark.parametrize(
    ("status", "code"),
    [("500 No", 96018), ("503 No", 429), ("401 No", 500), ("409 No", 503), ("200 OK", 407), ("200 OK", 600)],
)
def test_a_refusal_means_not_done_whatever_the_status(status: str, code: int) -> None:
    error = failure(send_sync, answer({"code": code}, status))
    assert not isinstance(error, ZillizServerError)
    assert error.unprocessed


@pytest.mark.parametrize("code", [12345, 96038])
def test_a_refusal_that_is_not_understood_may_come_after_the_work_with_http_5xx(code: int) -> None:
    error = failure(send_sync, answer({"code": code}, "500 Internal Server Error"))
    assert (type(error), error.unprocessed) == (ZillizRefusedError, False)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (
            answer({"code": 96026, "message": "No job."}),
            "Not found: No job.",
        ),
        (answer({"code": 1, "message": None}), "Zilliz Cloud refused: OK"),
        (answer(b"?", "502 Bad Gateway"), "Zilliz Cloud server error: Bad Gateway"),
        (
            answer({"code": 1, "message": f"Bad key {KEY}!"}),
            "Zilliz Cloud refused: Bad key ***!",
        ),
        (
            answer({"code": 1, "message": "x" * 900}),
            f"Zilliz Cloud refused: {'x' * 500}",
        ),
    ],
    ids=["message", "no message", "no document", "with the key in it", "long"],
)
def test_messages(send: Send, reply: bytes, text: str) -> None:
    error = failure(send, reply)
    assert (error.message, error.operation) == (text, "describe job job-1")


@pytest.mark.parametrize("text", [f"bad {KEY}", "x" * 900], ids=["the key", "long"])
@pytest.mark.parametrize("place", ["requestid", "reason", "content type"])
def test_whatever_comes_back_is_scrubbed_and_cut(send: Send, place: str, text: str) -> None:
    replies = {
        "requestid": answer({"code": 1}, requestid=text),
        "reason": answer(b"", f"418 {text}"),
        "content type": answer(b"", Content_Type=text),
    }
    error = failure(send, replies[place])
    assert ("***" if KEY in text else "x" * 100) in str(error)
    assert len(error.request_id or "") <= 100
    assert len(error.message) <= 600


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'"text"',
        b'{"code": ',
        b'{"code": "x"}',
        b'{"code": [1]}',
        b'{"code": []}',
        b'{"code": ""}',
        b'{"code": null}',
        b'{"code": NaN}',
        b'{"code": 0, "data": null}',
        b'{"code": 0, "data": [1]}',
        b"\xff",
    ],
    ids=repr,
)
def test_what_is_no_answer(send: Send, body: bytes) -> None:
    error = failure(send, answer(body, Content_Type="text/html", requestid="r1"))
    assert (type(error), error.http_status, error.request_id, error.unprocessed) == (
        ZillizProtocolError,
        200,
        "r1",
        False,
    )
    assert error.message == f"Zilliz Cloud's answer cannot be read: {len(body)} bytes of text/html."


def test_what_has_no_type_is_no_answer(send: Send) -> None:
    assert "cannot be read: 0 bytes of ?." in failure(send, answer(b"")).message


def test_the_error_for_an_answer_that_cannot_be_read_does_not_hold_it(send: Send) -> None:
    error: BaseException | None = failure(send, answer({"code": 0, "data": ["one-time-password"]}))
    while error is not None:
        assert "one-time-password" not in repr(error)
        error = error.__context__


@pytest.mark.parametrize("body", [b'{"code": 1e400}', b"[" * 100_000], ids=["infinite code", "deep nesting"])
def test_hostile_documents(body: bytes) -> None:
    assert isinstance(failure(send_sync, answer(body)), ZillizProtocolError)


@pytest.mark.parametrize(
    "body", [{"code": 0}, {"error": "try later"}, {"code": 0, "data": {"backups": "?"}}], ids=json.dumps
)
def test_a_list_that_cannot_be_read_is_not_an_empty_list(body: Any) -> None:
    assert isinstance(failure(send_sync, answer(body), operation=list_backups()), ZillizProtocolError)


def test_answers_are_bounded(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "LARGEST_ANSWER", 100)
    error = failure(send, answer({"code": 0, "data": {"reason": "x" * 200}}))
    assert (type(error), error.unprocessed) == (ZillizProtocolError, False)
    assert error.message == "Zilliz Cloud's answer is too large: more than 100 bytes."


# No answers


def test_a_refused_connection_did_nothing(send: Send) -> None:
    url = unused_url()
    with pytest.raises(
        ZillizConnectionError,
        match=r"No answer from 127\.0\.0\.1: .*refused; check the Base URL of .*, and whether this machine "
        r"may reach it \(describe job job-1\)",
    ) as caught:
        send(url, DESCRIBE)
    assert caught.value.unprocessed


@pytest.mark.parametrize(
    "reply",
    [
        DROP,
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
        b"Hello!\r\n\r\n",
        answer(b"x" * 99, Content_Encoding="gzip"),
    ],
    ids=["dropped", "truncated", "not HTTP", "wrongly encoded"],
)
def test_a_lost_answer_may_have_been_preceded_by_the_work(send: Send, reply: bytes) -> None:
    error = failure(send, reply)
    assert (type(error), error.unprocessed) == (ZillizConnectionError, False)


def test_a_time_out_may_have_been_preceded_by_the_work(send: Send) -> None:
    error = failure(send, HANG, timeout=0.05)
    assert (type(error), error.unprocessed) == (ZillizConnectionError, False)
    assert "from 127.0.0.1: " in error.message


@pytest.mark.parametrize("at_once", [0, JOB.index(b"{")], ids=["headers", "body"])
def test_a_server_that_sends_bit_by_bit_holds_nobody(send: Send, at_once: int) -> None:
    """Each byte comes in time, but not all of them. The thread must be free again, not only the caller."""
    with (
        serving(Trickle(JOB[at_once:], at_once=JOB[:at_once])) as server,
        pytest.raises(ZillizConnectionError) as caught,
    ):
        send(server.url, DESCRIBE, timeout=0.25)
    assert server.was_left
    assert not caught.value.unprocessed


def test_a_proxy_that_sends_bit_by_bit_holds_nobody(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving(Trickle(JOB)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with pytest.raises(ZillizConnectionError):
            send("http://cloud.example", DESCRIBE, timeout=0.25)
    assert proxy.was_left


# Around the requests


def test_requests_go_through_the_proxy(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(JOB) as server:
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        send("http://zilliz.example", DESCRIBE)
    assert server.lines == ["GET http://zilliz.example/v2/jobs/job-1 HTTP/1.1"]
    assert server.header("Host") == "zilliz.example"


def test_a_bad_proxy_means_not_done(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", unused_url())
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(ZillizConnectionError) as caught:
        send("http://zilliz.example", DESCRIBE)
    assert caught.value.unprocessed


@pytest.mark.parametrize(
    ("error", "cause", "text"),
    [
        (
            "[SSL: WRONG_VERSION_NUMBER] wrong version number",
            None,
            "it seems to speak plain HTTP, not HTTPS; try http:// in the Base URL of connection 'x' (",
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed",
            None,
            "its certificate is not trusted; give the CA as ca_bundle of connection 'x' ",
        ),
        ("Nodename", socket.gaierror(8, "Nodename"), "is unknown; check the Base URL of connection 'x', and"),
        (
            "Refused.",
            None,
            "api.cloud.zilliz.com: Refused; check the Base URL of connection 'x', and whether",
        ),
        ("", None, "api.cloud.zilliz.com: ConnectError; check the Base URL of connection 'x', and"),
    ],
    ids=["plain HTTP", "certificate", "unknown host", "another", "without a text"],
)
def test_why_no_answer_came_is_told_with_what_to_check(
    error: str, cause: Exception | None, text: str
) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        failure = httpx.ConnectError(error)
        # As httpx does: its error is caused by httpcore's, which was raised while a socket's was handled.
        failure.__cause__ = RuntimeError("httpcore")
        failure.__cause__.__context__ = cause
        raise failure

    settings = ClientSettings(KEY, source="connection 'x'")
    with (
        ZillizClient(settings, transport=httpx.MockTransport(handle)) as client,
        pytest.raises(ZillizConnectionError) as caught,
    ):
        client.send(describe_job("job-1"))
    assert text in str(caught.value)


def test_where_there_is_no_api_at_all_the_base_url_is_to_be_checked(send: Send) -> None:
    error = failure(send, answer(b"<html>", "404 Not Found"), source="connection 'x'")
    assert str(error) == (
        "Zilliz Cloud refused: Not Found. Check the Base URL of connection 'x': the API may not be there "
        "(describe job job-1, HTTP 404)."
    )
    gateway = answer({"code": 404, "message": "No route"}, "404 Not Found")
    assert "No route. Check the Base URL of connection 'x'" in str(
        failure(send, gateway, source="connection 'x'")
    )
    known = answer({"code": 96026, "message": "Job not found"}, "404 Not Found")
    assert "Base URL" not in str(failure(send, known, source="connection 'x'"))


def test_a_client_that_nobody_closes_leaves_no_connection_open() -> None:
    closed: list[bool] = []

    class Transport(httpx.MockTransport):
        def close(self) -> None:
            closed.append(True)

    holder: dict[str, Any] = {}
    transport = Transport(lambda _: httpx.Response(200))
    # As a hook does: the client refers to its holder.
    holder["client"] = ZillizClient(ClientSettings(KEY), refresh=lambda: holder["x"], transport=transport)
    assert not closed
    holder.clear()
    gc.collect()
    assert closed == [True]
