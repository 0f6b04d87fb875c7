"""An Airflow connection as a test defines it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_zbackup.hooks.connection import ZillizConnection
from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from tests.hooks.refusals import KEY


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Define the connection and return it, as the hook reads it."""

    def define(**fields: Any) -> ZillizConnection:
        connection = {"conn_type": "zilliz", "password": KEY} | fields
        monkeypatch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", json.dumps(connection))
        return ZillizHook().connection

    return define
