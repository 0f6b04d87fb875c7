"""A look into Airflow's database, where the REST API does not show enough."""

from __future__ import annotations

import json
from typing import Any

from dev.services import PostgreSQL


class Database:
    """
    Airflow's database.

    :param server: where it is.
    :param name: what it is called.
    """

    def __init__(self, server: PostgreSQL, name: str) -> None:
        self._server = server
        self._name = name

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """
        Ask for rows.

        :param statement: SQL, with ``%s`` for each value.
        :param values: the values.
        """
        connection = self._server.connect(self._name)
        try:
            cursor = connection.cursor()
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())
        finally:
            connection.close()

    def triggers(self) -> list[dict[str, Any]]:
        """Return the arguments of all triggers that tasks wait for."""
        return [_as_json(kwargs) for (kwargs,) in self.rows("SELECT kwargs FROM trigger ORDER BY id")]

    def triggerers(self) -> set[int]:
        """Return the jobs of the triggerers that have been given the triggers."""
        return {job for (job,) in self.rows("SELECT triggerer_id FROM trigger") if job is not None}

    def alive_triggerers(self) -> set[int]:
        """Return the jobs of the triggerers that have given a sign of life within the last seconds."""
        statement = """
            SELECT id FROM job
            WHERE job_type = 'TriggererJob' AND state = 'running'
            AND latest_heartbeat > now() - interval '5 seconds'
        """
        return {job for (job,) in self.rows(statement)}

    def tables_with(self, text: str) -> list[str]:
        """
        Return the tables that hold a text anywhere, be it as bytes.

        :param text: what to look for.
        """
        tables = self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        patterns = (f"%{text}%", f"%{text.encode().hex()}%")
        return [
            table
            for (table,) in tables
            if self.rows(f'SELECT 1 FROM "{table}" t WHERE t::text LIKE ANY(%s) LIMIT 1', list(patterns))
        ]


def _as_json(kwargs: Any) -> dict[str, Any]:
    value: dict[str, Any] = kwargs if isinstance(kwargs, dict) else json.loads(kwargs)
    # Airflow's own serialization wraps what is no plain JSON.
    inner: dict[str, Any] = value.get("__var", value)
    return inner
