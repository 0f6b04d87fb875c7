"""Which connections the page knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any
from uuid import uuid4

import pytest
from airflow.models import Connection
from airflow.models.base import Base
from pytest_mock import MockerFixture
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from airflow_provider_zbackup.ui.connections import known_connections
from airflow_provider_zbackup.version_compat import HAS_EXTERNAL_VIEWS

# Airflow 3.1 uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture(autouse=True)
def database(mocker: MockerFixture) -> Iterator[Session]:
    """Airflow's database, with two connections of ours and another one."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine, tables=[Base.metadata.tables["connection"]])
    with Session(engine) as session:
        for conn_id, conn_type in (("zilliz_default", "zilliz"), ("eu", "zilliz"), ("web", "http")):
            session.add(Connection(conn_id=conn_id, conn_type=conn_type))
        session.commit()
        mocker.patch("airflow.utils.session.create_session", return_value=nullcontext(session))
        yield session
    engine.dispose()


def test_they_come_from_the_database_the_environment_and_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", '{"conn_type": "zilliz"}')
    monkeypatch.setenv("AIRFLOW_CONN_BY_URI", "zilliz://:key@api.example")
    monkeypatch.setenv("AIRFLOW_CONN_BY_JSON", ' {"conn_type": "zilliz", "password": "key"}')
    monkeypatch.setenv("AIRFLOW__ZILLIZ__CONNECTIONS", " vault_one, ,vault_two")
    assert known_connections() == ["by_json", "by_uri", "eu", "vault_one", "vault_two", "zilliz_default"]


@pytest.mark.skipif(not HAS_EXTERNAL_VIEWS, reason="Airflow before 3.1 has no teams")
def test_those_of_a_team_are_not_shown_to_others(monkeypatch: pytest.MonkeyPatch, database: Session) -> None:
    team: dict[str, Any] = {"team_name": "blue"} if hasattr(Connection, "team_name") else {"team_id": uuid4()}
    database.add(Connection(conn_id="of_blue", conn_type="zilliz", **team))
    database.commit()
    monkeypatch.setenv("AIRFLOW_CONN__BLUE___BY_URI", "zilliz://:key@api.example")
    assert known_connections() == ["eu", "zilliz_default"]


@pytest.mark.parametrize(
    "value", ["http://example", "zillizish://x", '{"conn_type": "http"}', '{"conn_type": ', "{}", ""]
)
def test_other_connections_are_not_ours(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", value)
    assert known_connections() == ["eu", "zilliz_default"]
