"""Where a connection leads to: what its host, port and schema may be."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.settings import DEFAULT_BASE_URL
from tests.hooks.refusals import KEY, refusal

PLAIN_HTTP = "is plain HTTP to another machine"
NO_URL = "is not a URL such as"


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": None}, DEFAULT_BASE_URL),
        ({"host": ""}, DEFAULT_BASE_URL),
        ({"host": "https://api.cloud.zilliz.com.cn"}, "https://api.cloud.zilliz.com.cn"),
        ({"host": "https://api.cloud.zilliz.com/"}, "https://api.cloud.zilliz.com"),
        ({"host": "https://api.cloud.zilliz.com//"}, "https://api.cloud.zilliz.com"),
        ({"host": "https://api.cloud.zilliz.com/V2"}, "https://api.cloud.zilliz.com"),
        ({"host": "https://gateway.example/v2/v2"}, "https://gateway.example/v2"),
        ({"host": "https://gateway.example/zilliz-v2"}, "https://gateway.example/zilliz-v2"),
        ({"host": "gateway_1.example"}, "https://gateway_1.example"),
        ({"host": "gateway.example", "schema": "v2"}, "https://gateway.example"),
        ({"host": "https://gateway.example", "port": 0}, "https://gateway.example"),
        ({"host": "https://api.cloud.zilliz.com/v2"}, "https://api.cloud.zilliz.com"),
        ({"host": "https://api.cloud.zilliz.com/v2/"}, "https://api.cloud.zilliz.com"),
        ({"host": "  https://api.cloud.zilliz.com/v2 \n"}, "https://api.cloud.zilliz.com"),
        ({"host": "https://gateway.example/zilliz"}, "https://gateway.example/zilliz"),
        ({"host": "https://gateway.example/zilliz/v2/"}, "https://gateway.example/zilliz"),
        ({"host": "gateway.example/zilliz", "port": 8443}, "https://gateway.example:8443/zilliz"),
        ({"host": "HTTPS://api.cloud.zilliz.com"}, "https://api.cloud.zilliz.com"),
        ({"host": "api.cloud.zilliz.com"}, "https://api.cloud.zilliz.com"),
        ({"host": "api.cloud.zilliz.com/v2/"}, "https://api.cloud.zilliz.com"),
        ({"host": "gateway.example:8443"}, "https://gateway.example:8443"),
        ({"host": "gateway.example", "port": 8443}, "https://gateway.example:8443"),
        ({"host": "https://gateway.example/v2", "port": 8443}, "https://gateway.example:8443"),
        ({"host": "https://gateway.example:9443", "port": 8443}, "https://gateway.example:9443"),
        ({"host": "[2001:db8::1]"}, "https://[2001:db8::1]"),
        ({"host": "2001:db8::1"}, "https://[2001:db8::1]"),
        ({"host": " 2001:DB8::1 ", "port": 8443}, "https://[2001:db8::1]:8443"),
        ({"host": "::1", "schema": "http", "port": 8080}, "http://[::1]:8080"),
        ({"host": "https://[2001:db8::1]", "port": 8443}, "https://[2001:db8::1]:8443"),
        ({"host": "https://[2001:db8::1]:9443", "port": 8443}, "https://[2001:db8::1]:9443"),
        ({"host": "127.0.0.1", "schema": "http", "port": 8080}, "http://127.0.0.1:8080"),
    ],
)
def test_the_base_url_is_read_from_host_port_and_schema(
    define: Any, fields: dict[str, Any], base_url: str
) -> None:
    assert define(**fields).settings.base_url == base_url


@pytest.mark.parametrize(
    "host",
    [
        "   ",
        "https://",
        "https:///clusters",
        "://api.example",
        "ftp://api.example",
        "file:///etc/hostname",
        "javascript://api.example",
        "https://api example",
        "https://api.example/a path",
        "https://[2001:db8::1",
        "https://2001:db8::1",
        "fe80::1%eth0",
        "https://api.example:port",
        "https://api.example:99999",
        "https://api.example:-1",
        "https://api.example:0",
        "https://api.example//v2",
        "https://api.example/zilliz//v2",
        "https:////api.example",
        "https://api.example\\v2",
        "https://api%20.example",
        "https://api%2eexample",
        "https://-api.example",
        "https://api.example-",
        "https://apì.example",
        "https://api.example/großes-v2",
        "https://api.exa\nmple",
        "https://api.example/v\r\n2",
        "https://api.example/v\t2",
        "https://api.example/\x7f",
        "https://*.example",
        "https://[api.example]",
        "https://[fe80::1%25eth0]",
        "https://api..example",
        f"https://{'a' * 64}.example",
    ],
)
def test_a_host_that_is_no_url_is_refused(define: Any, host: str) -> None:
    assert f"host {NO_URL}" in refusal(define, host=host)


@pytest.mark.parametrize(
    "host",
    [
        f"https://{KEY}@api.example",
        f"https://user:{KEY}@api.example",
        f"https://api.example?token={KEY}",
        f"https://api.example/v2?token={KEY}",
        f"https://api.example#{KEY}",
    ],
)
def test_a_host_with_more_than_an_address_in_it_is_refused(define: Any, host: str) -> None:
    assert "host must not have a user, a query or a fragment" in refusal(define, host=host)


@pytest.mark.parametrize(
    "host",
    [
        "http://127.0.0.1",
        "http://127.0.0.1:8080",
        "http://127.1.2.3",
        "http://localhost:8080",
        "http://LOCALHOST",
        "http://[::1]:8080",
    ],
)
def test_plain_http_stays_on_this_machine(define: Any, host: str) -> None:
    assert define(host=host).settings.base_url == host


@pytest.mark.parametrize(
    "host",
    [
        "http://api.cloud.zilliz.com",
        "HTTP://api.cloud.zilliz.com",
        "http://10.0.0.1:8080",
        "http://[2001:db8::1]",
        "http://localhost.example",
        "http://127.0.0.1.example",
    ],
)
def test_plain_http_to_another_machine_has_to_be_allowed(define: Any, host: str) -> None:
    assert f"host {PLAIN_HTTP}" in refusal(define, host=host)
    assert f"host {PLAIN_HTTP}" in refusal(define, host=host, extra={"allow_insecure_http": False})
    assert define(host=host, extra={"allow_insecure_http": True}).settings.base_url.startswith("http://")


def test_plain_http_by_the_schema_field_has_to_be_allowed_too(define: Any) -> None:
    assert f"host {PLAIN_HTTP}" in refusal(define, host="api.example", schema="http")


@pytest.mark.parametrize("port", [-1, 65_536, 99_999])
def test_a_port_that_is_none_is_refused(define: Any, port: int) -> None:
    refusal(define, host="gateway.example", port=port)
