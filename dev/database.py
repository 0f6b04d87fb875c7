"""A look into Airflow's database, where the REST API does not show enough."""

from __future__ import annotations

import json
from typing import Any


class Database:
    """
    One database of a PostgreSQL server.

    :param port: port of the server on the loopback interface.
    :param password: password of the user ``airflow``.
    :param name: name of the database.
    """

    def __init__(self, port: int, password: str, name: str) -> None:
        self._port = port
        self._password = password
        self._name = name

    @property
    def url(self) -> str:
        """The address, as SQLAlchemy writes it."""
        return f"postgresql+psycopg2://airflow:{self._password}@127.0.0.1:{self._port}/{self._name}"

    def connect(self) -> Any:
        """Return a connection that commits every statement."""
        import psycopg2

        connection = psycopg2.connect(
            host="127.0.0.1", port=self._port, user="airflow", password=self._password, dbname=self._name
        )
        connection.autocommit = True
        return connection

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """
        Run a query.

        :param statement: SQL, with ``%s`` for each value.
        :param values: the values.
        :return: its rows.
        """
        connection = self.connect()
        try:
            cursor = connection.cursor()
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())
        finally:
            connection.close()

    def triggers(self) -> list[dict[str, Any]]:
        """Return the arguments of every trigger that a task waits for."""
        return [_as_json(kwargs) for (kwargs,) in self.rows("SELECT kwargs FROM trigger ORDER BY id")]

    def triggerers_in_use(self) -> set[int]:
        """Return the ids of the triggerers that have a trigger to run."""
        return {job for (job,) in self.rows("SELECT triggerer_id FROM trigger") if job is not None}

    def alive_triggerers(self) -> set[int]:
        """Return the ids of the triggerers whose last heartbeat is at most some seconds old."""
        statement = """
            SELECT id FROM job
            WHERE job_type = 'TriggererJob' AND state = 'running'
            AND latest_heartbeat > now() - interval '5 seconds'
        """
        return {job for (job,) in self.rows(statement)}

    def tables_with(self, text: str) -> list[str]:
        """
        Return the tables that contain a text, in a column of any type.

        :param text: what to look for.
        """
        tables = self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        # PostgreSQL shows bytes as hexadecimal digits.
        patterns = (f"%{text}%", f"%{text.encode().hex()}%")
        return [
            table
            for (table,) in tables
            if self.rows(f'SELECT 1 FROM "{table}" t WHERE t::text LIKE ANY(%s) LIMIT 1', list(patterns))
        ]


def _as_json(kwargs: Any) -> dict[str, Any]:
    value: dict[str, Any] = kwargs if isinstance(kwargs, dict) else json.loads(kwargs)
    # Airflow wraps arguments that are not plain JSON.
    inner: dict[str, Any] = value.get("__var", value)
    return inner
