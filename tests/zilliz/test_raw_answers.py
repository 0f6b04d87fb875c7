"""Answers that are unusual as HTTP, byte for byte over a real socket, to both clients."""

from __future__ import annotations

import gzip
import json

import pytest

from airflow_provider_zbackup.zilliz.client import LARGEST_ANSWER
from airflow_provider_zbackup.zilliz.errors import (
    ZillizConnectionError,
    ZillizError,
    ZillizProtocolError,
)
from airflow_provider_zbackup.zilliz.operations import describe_job
from tests.zilliz.server import answer, serving
from tests.zilliz.test_client import Send, send_async, send_sync

BODY = json.dumps({"code": 0, "data": {"jobId": "job-1", "status": "SUCCESSFUL"}}).encode()
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"
BOMB = gzip.compress(b'{"code": 0, "data": {"jobId": "' + b"a" * LARGEST_ANSWER + b'"}}')
SENDERS = pytest.mark.parametrize("send", [send_sync, send_async], ids=["sync", "async"])


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


@SENDERS
@pytest.mark.parametrize(
    "reply",
    [
        answer(gzip.compress(BODY), Content_Encoding="gzip"),
        CHUNKED + b"\r\n" + chunks(BODY[:7], BODY[7:]) + b"0\r\n\r\n",
        CHUNKED + b"Content-Encoding: gzip\r\n\r\n" + chunks(gzip.compress(BODY)) + b"0\r\n\r\n",
        CHUNKED + b"\r\n" + chunks(BODY) + b"0\r\nX-Trailer: 1\r\n\r\n",
        OK + b"\r\n" + BODY,
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(BODY),
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer(BODY),
        answer(b"\xef\xbb\xbf" + BODY),
        answer(BODY.decode().encode("utf-16")),
        answer(b" \r\n" + BODY + b"\n\n"),
        answer(BODY, Content_Type="text/plain; charset=latin-1"),
    ],
    ids=[
        "gzip", "chunked", "gzip in chunks", "trailer", "until the end", "HTTP/1.0", "100-continue",
        "early hints", "BOM", "UTF-16", "white space", "another type",
    ],
)  # fmt: skip
def test_what_can_be_read_is_read(send: Send, reply: bytes) -> None:
    with serving(reply) as server:
        assert send(server.url, describe_job("job-1")).value.is_successful


@SENDERS
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(BODY)[:-5], ZillizConnectionError),
        (CHUNKED + b"\r\n" + chunks(BODY), ZillizConnectionError),
        (CHUNKED + b"\r\nxyz\r\n", ZillizConnectionError),
        (OK + b"Content-Length: ", ZillizConnectionError),
        (answer(gzip.compress(BODY)[:30], Content_Encoding="gzip"), ZillizProtocolError),
        (answer(BODY[:-5]), ZillizProtocolError),
        (OK + b"\r\n" + BODY[:-5], ZillizProtocolError),
        (answer(b"x" * (LARGEST_ANSWER + 1)), ZillizProtocolError),
        (answer(BOMB, Content_Encoding="gzip"), ZillizProtocolError),
    ],
    ids=[
        "cut", "cut between chunks", "no chunks", "cut in the headers", "cut gzip", "cut document",
        "cut without length", "huge", "bomb",
    ],
)  # fmt: skip
def test_what_cannot_be_read_may_have_been_preceded_by_the_work(
    send: Send, reply: bytes, kind: type[ZillizError]
) -> None:
    with serving(reply) as server, pytest.raises(kind) as caught:
        send(server.url, describe_job("job-1"))
    assert type(caught.value) is kind
    assert not caught.value.unprocessed
    assert len(str(caught.value)) < 300
