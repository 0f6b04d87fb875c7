"""The fields of the Airflow connection: what each may be, and what is said of one that cannot be used."""

from __future__ import annotations

import json
import logging
import math
import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_zbackup.hooks import connection as connection_module
from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.version_compat import AIRFLOW_VERSION
from airflow_provider_zbackup.zilliz.errors import ZillizConfigurationError
from airflow_provider_zbackup.zilliz.settings import DEFAULT_BASE_URL, ClientSettings
from tests.hooks.refusals import KEY, refusal

PLAIN_HTTP = "is plain HTTP to another machine"
NO_URL = "is not a URL such as"


def test_the_key_alone_is_enough(define: Any) -> None:
    assert define().settings == ClientSettings(
        api_key=KEY,
        base_url=DEFAULT_BASE_URL,
        timeout=30.0,
        requests_per_second=10.0,
        conflict_codes=frozenset(),
        ca_bundle=None,
    )


def test_the_settings_say_what_they_are_of(define: Any) -> None:
    assert define().settings.source == "Airflow connection 'zilliz_default'"


def test_no_repr_shows_the_key(define: Any) -> None:
    connection = define()
    assert connection.settings.api_key == KEY
    assert KEY not in repr(connection.settings)
    assert KEY not in str(connection.settings)
    assert KEY not in repr(connection)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (None, "is missing"),
        ("", "is missing"),
        ("   ", "has white space or a line break"),
        (f"{KEY}\n", "has white space or a line break"),
        (f" {KEY}", "has white space or a line break"),
        (f"{KEY}\r\nX-Header: injected", "has white space or a line break"),
        (f"{KEY}\tmore", "has white space or a line break"),
        (f"Bearer {KEY}", "has white space or a line break"),
        (f"{KEY}\N{NO-BREAK SPACE}", "has white space or a line break"),
        (f"{KEY}é", "has characters that no API key has"),
        (f"{KEY}\N{ZERO WIDTH SPACE}", "has characters that no API key has"),
        (f"{KEY}\N{RIGHT DOUBLE QUOTATION MARK}", "has characters that no API key has"),
        (f"{KEY}\x00", "has characters that no API key has"),
        (f"{KEY}\x7f", "has characters that no API key has"),
    ],
)
def test_a_key_that_no_header_can_carry_is_refused(define: Any, key: str | None, problem: str) -> None:
    assert f"API key (field 'password') {problem}" in refusal(define, password=key)


def test_a_key_in_the_place_of_the_login_is_spotted(define: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = refusal(define, login=KEY, password=None)
    assert "API key (field 'password') is missing, but there is a login." in text
    assert "zilliz://:KEY@" in text
    monkeypatch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", f"zilliz://{KEY}@api.example")
    with pytest.raises(ZillizConfigurationError, match="but there is a login") as caught:
        ZillizHook().connection  # noqa: B018 - reading it is what raises
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "given", "read"),
    [
        ("ca_bundle", "/etc/ssl/ours.pem", "/etc/ssl/ours.pem"),
        ("ca_bundle", "", None),
        ("ca_bundle", None, None),
        ("timeout", 5, 5.0),
        ("timeout", 0.5, 0.5),
        ("timeout", "5", 5.0),
        ("timeout", " 7.5 ", 7.5),
        ("timeout", 3600, 3600.0),
        ("timeout", None, 30.0),
        ("timeout", "", 30.0),
        ("requests_per_second", 2, 2.0),
        ("requests_per_second", "0.5", 0.5),
        ("requests_per_second", 0.01, 0.01),
        ("requests_per_second", 1000, 1000.0),
        ("requests_per_second", None, 10.0),
        ("requests_per_second", "", 10.0),
        ("conflict_codes", [96777, 4711], {96777, 4711}),
        ("conflict_codes", 96777, {96777}),
        ("conflict_codes", -1, {-1}),
        ("conflict_codes", ["96777"], {96777}),
        ("conflict_codes", [], set()),
        ("conflict_codes", "96777", {96777}),
        ("conflict_codes", "96777,4711", {96777, 4711}),
        ("conflict_codes", " 96777 , 4711 96777,", {96777, 4711}),
        ("conflict_codes", " , ", set()),
        ("conflict_codes", "", set()),
        ("conflict_codes", None, set()),
    ],
)
def test_an_extra_field_is_read_from_json_text_or_an_empty_form(
    define: Any, field: str, given: Any, read: Any
) -> None:
    assert getattr(define(extra={field: given}).settings, field) == read


@pytest.mark.parametrize(
    ("field", "given", "read"),
    [
        ("freshness_target", None, timedelta(hours=24)),
        ("freshness_target", "", timedelta(hours=24)),
        ("freshness_target", 36, timedelta(hours=36)),
        ("freshness_target", "1.5", timedelta(minutes=90)),
        ("price_per_gb_month", None, None),
        ("price_per_gb_month", "", None),
        ("price_per_gb_month", 0, 0.0),
        ("price_per_gb_month", "0.025", 0.025),
    ],
)
def test_what_the_page_in_the_ui_needs_is_read_too(define: Any, field: str, given: Any, read: Any) -> None:
    assert getattr(define(extra={field: given}), field) == read


@pytest.mark.parametrize(
    ("given", "allowed"),
    [(True, True), ("true", True), ("True", True), ("1", True), ("false", False), (0, False), (None, False)],
)
def test_a_boolean_is_read_from_text_too(define: Any, given: Any, allowed: bool) -> None:
    fields = {"host": "http://api.example", "extra": {"allow_insecure_http": given}}
    if allowed:
        assert define(**fields).settings.base_url == "http://api.example"
    else:
        assert PLAIN_HTTP in refusal(define, **fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            (field, value)
            for field in ("timeout", "requests_per_second")
            for value in (
                0,
                -1,
                "0",
                "-0.5",
                math.nan,
                math.inf,
                "nan",
                "inf",
                "half a minute",
                [30],
                {"s": 1},
                True,
                False,
            )
        ),
        ("timeout", 3600.1),
        ("timeout", "1e9"),
        *(
            (name, value)
            for name in ("freshness_target", "price_per_gb_month")
            for value in (-1, "a day", True)
        ),
        ("freshness_target", 0),
        ("freshness_target", 9000),
        ("price_per_gb_month", 1001),
        ("requests_per_second", 1000.1),
        ("requests_per_second", 0.009),
        ("conflict_codes", True),
        ("conflict_codes", [True]),
        ("conflict_codes", 96777.5),
        ("conflict_codes", "busy"),
        ("conflict_codes", "96777; 4711"),
        ("conflict_codes", "96777.5"),
        ("conflict_codes", [96777.5]),
        ("conflict_codes", ["busy"]),
        ("conflict_codes", [None]),
        ("conflict_codes", [[96777]]),
        ("conflict_codes", {"96777": True}),
        ("allow_insecure_http", "perhaps"),
        ("allow_insecure_http", 2),
        ("allow_insecure_http", []),
        ("project_id", ["proj-unmistakable"]),
        ("organization_id", {"org": "org-unmistakable"}),
        ("console_url", ["https://console.example"]),
        ("ca_bundle", ["/etc/unmistakable.pem"]),
        ("ca_bundle", True),
    ],
)
def test_an_extra_field_that_cannot_be_used_is_named_and_not_shown(
    define: Any, field: str, value: Any
) -> None:
    message = refusal(define, extra={field: value})
    assert f"extra field {field!r}: " in message
    assert "unmistakable" not in message


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("console.example", NO_URL),
        ("https://", NO_URL),
        ("https://console.example//orgs", NO_URL),
        ("https://console.example:0", NO_URL),
        ("javascript:alert(1)", NO_URL),
        ("data:text/html,unmistakable", NO_URL),
        ("https://console example", NO_URL),
        ("https://user@console.example", "must not have a user"),
        ("https://console.example?next=elsewhere", "must not have a user, a query"),
        ("https://console.example/#/orgs", "must not have a user, a query or a fragment"),
    ],
)
def test_a_console_url_that_no_link_may_lead_to_is_refused(define: Any, url: str, problem: str) -> None:
    assert f"extra field 'console_url' {problem}" in refusal(define, extra={"console_url": url})


#: Airflow 3.0 and 3.1 look at the extra of a connection themselves, and refuse what is no JSON object.
AIRFLOW_CHECKS_EXTRA = AIRFLOW_VERSION.release[:2] in ((3, 0), (3, 1))
FOR_THE_PROVIDER = pytest.mark.skipif(AIRFLOW_CHECKS_EXTRA, reason="Airflow 3.0 and 3.1 refuse it themselves")


@pytest.mark.parametrize(
    "extra",
    [
        None,
        "",
        pytest.param(" ", marks=FOR_THE_PROVIDER),
        "{}",
        " {} ",
        '{"timeout": null}',
        '{"timeout": ""}',
    ],
)
def test_no_extra_is_fine(define: Any, extra: str | None) -> None:
    assert define(extra=extra).settings == ClientSettings(KEY)


@pytest.mark.parametrize("extra", ["{ }", "{\n}", pytest.param("null", marks=FOR_THE_PROVIDER)])
def test_an_empty_extra_can_be_written_in_many_ways(define: Any, extra: str) -> None:
    assert define(extra=extra).settings == ClientSettings(KEY)


@pytest.mark.parametrize(
    "extra", ["timeout=5", "{'timeout': 5}", '{"timeout": 5', "[]", '["unmistakable"]', '"unmistakable"', "5"]
)
def test_an_extra_that_is_no_json_object_is_refused(define: Any, extra: str) -> None:
    if AIRFLOW_CHECKS_EXTRA:
        with pytest.raises(
            ZillizConfigurationError, match="connection 'zilliz_default' is malformed"
        ) as caught:
            define(extra=extra)
        message = str(caught.value)
    else:
        message = refusal(define, extra=extra)
        assert "extra is not a JSON object" in message
    assert "unmistakable" not in message


def test_extra_fields_that_mean_nothing_are_ignored(define: Any) -> None:
    extra = {"extra__zilliz__timeout": 1, "timeout_seconds": "x", "": None, "region": ["aws-us-west-2"]}
    assert define(extra=extra).settings == define().settings


def test_unknown_extra_fields_are_named_once_with_the_nearest_known_ones(
    define: Any, caplog: pytest.LogCaptureFixture
) -> None:
    connection_module._warn_of_unknown.cache_clear()
    caplog.set_level(logging.WARNING, "airflow_provider_zbackup")
    # Airflow 2.11 lets no record of its own loggers through to the root, where caplog listens.
    define(extra={"timeout": 5})
    assert not caplog.messages
    extra = {"Time_out": KEY, "extra__zilliz__project_id": "p", "region": "x", "y" * 99: 1, "timeout": 5}
    for _ in range(3):
        define(extra=extra)
    assert caplog.messages == [
        "Airflow connection 'zilliz_default': unknown extra fields are ignored: "
        "'Time_out' (is 'timeout' meant?), 'extra__zilliz__project_id' (is 'project_id' meant?), 'region', "
        f"'{'y' * 50}'."
    ]
    define(extra={"regions": "x"})
    assert len(caplog.messages) == 2


def test_standard_fields_that_mean_nothing_are_ignored(define: Any) -> None:
    assert define(login="somebody", description="ours").settings == define().settings


@pytest.mark.parametrize(
    ("extra", "cluster_id", "url"),
    [
        ({}, None, "https://cloud.zilliz.com"),
        ({}, "in01-1", "https://cloud.zilliz.com"),
        ({"project_id": "proj-1"}, "in01-1", "https://cloud.zilliz.com"),
        ({"organization_id": "org-1"}, "in01-1", "https://cloud.zilliz.com"),
        ({"organization_id": "", "project_id": "proj-1"}, "in01-1", "https://cloud.zilliz.com"),
        ({"console_url": " https://console.example/ "}, None, "https://console.example"),
        (
            {"organization_id": "org-1", "project_id": "proj-1"},
            None,
            "https://cloud.zilliz.com/orgs/org-1/projects/proj-1/clusters",
        ),
        (
            {
                "organization_id": "org-1",
                "project_id": "proj-1",
                "console_url": "http://127.0.0.1:8080/console",
            },
            "in01-1",
            "http://127.0.0.1:8080/console/orgs/org-1/projects/proj-1/clusters/in01-1",
        ),
        (
            {"organization_id": "o/../1", "project_id": "p?1"},
            "in01 #1",
            "https://cloud.zilliz.com/orgs/o%2F..%2F1/projects/p%3F1/clusters/in01%20%231",
        ),
    ],
)
def test_the_page_of_the_web_console(
    define: Any, extra: dict[str, Any], cluster_id: str | None, url: str
) -> None:
    assert define(extra=extra).console_url(cluster_id) == url


@pytest.mark.parametrize(
    ("uri", "settings"),
    [
        (f"zilliz://:{KEY}@", ClientSettings(KEY)),
        (f"zilliz://:{KEY}@/?timeout=5", ClientSettings(KEY, timeout=5.0)),
        (f"zilliz://:{KEY}@gateway.example:8443", ClientSettings(KEY, "https://gateway.example:8443")),
        (f"zilliz://:{KEY}@[2001:db8::1]:8443/v2", ClientSettings(KEY, "https://[2001:db8::1]:8443")),
        (f"zilliz://:{KEY}@[2001:db8::1]", ClientSettings(KEY, "https://[2001:db8::1]")),
        (f"zilliz://:{KEY}@[::1]:8080/http", ClientSettings(KEY, "http://[::1]:8080")),
        (f"zilliz://:{KEY}@gateway.example/v2", ClientSettings(KEY, "https://gateway.example")),
        (f"zilliz://:{KEY}@gateway.example:8443/v2/", ClientSettings(KEY, "https://gateway.example:8443")),
        (
            f"zilliz://:{KEY}@127.0.0.1:8080/http?timeout=5",
            ClientSettings(KEY, "http://127.0.0.1:8080", timeout=5.0),
        ),
        (
            f"zilliz://:{KEY}@{quote('https://gateway.example/v2', safe='')}",
            ClientSettings(KEY, "https://gateway.example"),
        ),
        (
            f"zilliz://:{quote('k/e@y:?#%+&=', safe='')}@{quote('http://gateway.example', safe='')}/"
            "?allow_insecure_http=true&requests_per_second=2.5&conflict_codes=96777%2C4711&timeout=",
            ClientSettings(
                "k/e@y:?#%+&=",
                "http://gateway.example",
                requests_per_second=2.5,
                conflict_codes=frozenset({96777, 4711}),
            ),
        ),
    ],
)
def test_a_connection_written_as_a_uri(
    monkeypatch: pytest.MonkeyPatch, uri: str, settings: ClientSettings
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", uri)
    read = ZillizHook().connection.settings
    assert read == settings
    assert read.api_key == settings.api_key


def test_a_connection_that_is_not_defined_is_named() -> None:
    with pytest.raises(ZillizConfigurationError, match=re.escape("'another_one' is not defined")) as caught:
        ZillizHook("another_one").connection  # noqa: B018 - reading it is what raises
    assert caught.value.unprocessed


def test_the_error_names_the_connection_that_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ANOTHER_ONE", json.dumps({"conn_type": "zilliz"}))
    with pytest.raises(ZillizConfigurationError, match="Airflow connection 'another_one': API key"):
        ZillizHook("another_one").connection  # noqa: B018 - reading it is what raises
