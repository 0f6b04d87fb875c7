"""Secrets backends as Airflow loads them by its configuration."""

from __future__ import annotations

import json
from typing import ClassVar

from airflow.secrets import BaseSecretsBackend

from tests.hooks.refusals import KEY

GOOD = json.dumps({"conn_type": "zilliz", "password": KEY})
LEAK = f"zilliz://:{KEY}@api.example"


class Vault(BaseSecretsBackend):
    """
    Keeps ``zilliz_default``, when it can.

    :cvar failures: what the next looks raise
    :cvar value: what it keeps
    """

    failures: ClassVar[list[Exception]] = []
    value: ClassVar[str | None] = None
    looks: ClassVar[int] = 0

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        type(self).looks += 1
        if self.failures:
            raise self.failures.pop()
        return self.value if conn_id == "zilliz_default" else None


class VariablesOnly(BaseSecretsBackend):
    """Keeps no connections at all, as some companies' own backends."""
