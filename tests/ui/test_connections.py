"""Which connections the page knows."""

from __future__ import annotations

import pytest
from pytest_mock import MockerFixture

from airflow_provider_zbackup.ui import connections
from airflow_provider_zbackup.ui.connections import known_connections


@pytest.fixture(autouse=True)
def _stored(mocker: MockerFixture) -> None:
    mocker.patch.object(connections, "_stored", autospec=True, return_value=["zilliz_default", "eu"])


def test_they_come_from_the_database_the_environment_and_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", '{"conn_type": "zilliz"}')
    monkeypatch.setenv("AIRFLOW_CONN_BY_URI", "zilliz://:key@api.example")
    monkeypatch.setenv("AIRFLOW_CONN_BY_JSON", ' {"conn_type": "zilliz", "password": "key"}')
    monkeypatch.setenv("AIRFLOW__ZILLIZ__CONNECTIONS", " vault_one, ,vault_two")
    assert known_connections() == ["by_json", "by_uri", "eu", "vault_one", "vault_two", "zilliz_default"]


@pytest.mark.parametrize(
    "value", ["http://example", "zillizish://x", '{"conn_type": "http"}', '{"conn_type": ', "{}", ""]
)
def test_other_connections_are_not_ours(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", value)
    assert known_connections() == ["eu", "zilliz_default"]
