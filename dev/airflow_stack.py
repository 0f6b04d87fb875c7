"""
A real Airflow 3 for a short time: api-server, scheduler, dag-processor, triggerers and Celery workers.

    with AirflowStack(Path("example_dags"), dag_ids=["backup_before_migration"]) as stack:
        run_id = stack.api.trigger_dag_run("backup_before_migration")
        stack.kill("triggerer", signal.SIGKILL)
        stack.start("triggerer")
        stack.api.wait_for_dag_run("backup_before_migration", run_id, timeout=60)
"""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import httpx

from dev.airflow_api import AirflowApi
from dev.processes import ProcessError, Processes, wait_until

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")

# Long, because a slow machine is no error. If the stack cannot start, a component ends, which fails sooner.
START_SECONDS = 180.0

# `-s`: no component serves its logs, since all write into one folder. So no two of them need the same port.
COMMANDS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "-s"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "-s"],
    "worker": ["celery", "worker", "-s", "--without-mingle", "--without-gossip"],
}

SETTINGS = {
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    # A DAG with a schedule must not start by itself; the stack unpauses `dag_ids`.
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    # The UI asks for no login.
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    # The connection form has its Test button.
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    # The default asks the name server, which may be slow or missing.
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    # The stack has just migrated the database; without this, each component checks that again.
    "AIRFLOW__DATABASE__CHECK_MIGRATIONS": "False",
    "AIRFLOW__API__HOST": "127.0.0.1",
    # One worker starts fastest and is enough for one user.
    "AIRFLOW__API__WORKERS": "1",
    # The first scan of the folder finds the DAGs; later scans only cost time.
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    # Seconds until a worker's end is noticed. The default of 5 has a race: if a trigger fires before the
    # executor has noticed the deferral, the scheduler fails the task.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    # With the default of 1 s, an idle scheduler starts every task up to 1 s later.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # Logs go to files, where colour codes only disturb.
    "NO_COLOR": "1",
    # Without this, macOS kills forked processes that use its network libraries.
    "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
}


class AirflowStack:
    """
    A real Airflow on this machine that exists for the time of a ``with`` block and leaves nothing behind.

    Each component is a process with a name: one of ``COMPONENTS``, or ``worker`` for a Celery worker. A
    number names a further component of the same kind, as in ``triggerer-2``.

    :param dags_folder: folder of the DAG files.
    :param dag_ids: DAGs to wait for and to unpause before the block begins; all others stay paused.
    :param environment: more variables for all components, such as connections and configuration.
    :param components: the components to start; Celery needs at least one ``worker``.
    :param database_url: SQLAlchemy URL of an empty database. The default, SQLite, is for few tasks at a time.
    :param celery_broker_url: URL of a Redis: use the CeleryExecutor. The default is the LocalExecutor.
    :param parallelism: number of task slots. The LocalExecutor starts a process for each in advance.
    :param users: names and roles of those who can log in, the first one an admin; their names are their
        passwords. By default nobody needs to, and everybody is an admin.
    :param base_path: where a proxy would put API and UI, such as ``/team``.
    :param keep: keep the folder with the database and the logs.
    :ivar components: the names of the components to start.
    :ivar api: client of the REST API.
    :ivar base_url: address of API and UI.
    """

    def __init__(
        self,
        dags_folder: Path,
        *,
        dag_ids: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        components: Sequence[str] = COMPONENTS,
        database_url: str | None = None,
        celery_broker_url: str | None = None,
        parallelism: int = 4,
        users: Mapping[str, str] | None = None,
        base_path: str = "",
        keep: bool = False,
    ) -> None:
        self._users = users or {}
        self._base_path = base_path
        self._dag_ids = set(dag_ids)
        self.components = tuple(components)
        self._processes = Processes(keep=keep)
        self._settings = {
            **SETTINGS,
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder.resolve()),
            "AIRFLOW__CORE__PARALLELISM": str(parallelism),
            **({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url} if database_url else {}),
            **(_celery_settings(celery_broker_url, parallelism) if celery_broker_url else {}),
            **(environment or {}),
        }

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self._processes)
            port = free_port()
            self.base_url = f"http://127.0.0.1:{port}{self._base_path}"
            self.api = AirflowApi(self.base_url, self.check_alive)
            undo.callback(self.api.close)
            self._environment = self._processes.environment(
                AIRFLOW_HOME=str(self.home),
                AIRFLOW__API__PORT=str(port),
                # Workers and triggerers find the api-server by this address.
                AIRFLOW__API__BASE_URL=self.base_url,
                **(self._settings | self._login_settings()),
            )
            self._start_all()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def home(self) -> Path:
        """The AIRFLOW_HOME of all components, a temporary folder."""
        return self._processes.folder / "airflow"

    def _start_all(self) -> None:
        self._processes.run(
            "db-migrate", self.command("db", "migrate"), self._environment, timeout=START_SECONDS
        )
        for name in self.components:
            self.start(name)
        self.wait_until(self._answers, "The api-server answers")
        self.api.log_in(next(iter(self._users), ""))
        self.wait_until(self.is_healthy, "All components are healthy")
        self.wait_until(self._is_parsed, f"The DAGs are parsed: {', '.join(sorted(self._dag_ids))}")
        for dag_id in self._dag_ids:
            self.api.unpause(dag_id)

    def _login_settings(self) -> dict[str, str]:
        if not self._users:
            return {}
        passwords = self._processes.folder / "passwords.json"
        passwords.write_text(json.dumps({name: name for name in self._users}))
        return {
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(map(":".join, self._users.items())),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        }

    def command(self, *arguments: str) -> list[str]:
        """
        Return an Airflow command that runs in this Python.

        :param arguments: the words after ``airflow``.
        """
        return [sys.executable, "-m", "airflow", *arguments]

    def run(self, *arguments: str) -> str:
        """
        Run an Airflow command in the environment of the components.

        :param arguments: the words after ``airflow``.
        :return: its output.
        """
        name = "-".join(arguments[:2])
        self._processes.run(name, self.command(*arguments), self._environment, timeout=START_SECONDS)
        return self.log(name)

    def start(self, name: str) -> None:
        """
        Start a component, for the first time or again.

        :param name: its name.
        """
        component = re.sub(r"-\d+$", "", name)
        self._processes.start(name, self.command(*COMMANDS[component]), self._environment)

    def stop(self, name: str) -> None:
        """
        Stop a component and every process that it started, and wait until they have ended.

        :param name: its name.
        """
        self._processes.stop(name)

    def kill(self, name: str, number: signal.Signals) -> None:
        """
        Send a signal to a component and its process group.

        :param name: its name.
        :param number: the signal.
        """
        self._processes.kill(name, number)

    def pid(self, name: str) -> int:
        """
        Return the id of the process of a component.

        :param name: its name.
        """
        return self._processes.pid(name)

    def is_running(self, name: str) -> bool:
        """
        Tell whether a component runs.

        :param name: its name.
        """
        return self._processes.is_running(name)

    def log(self, name: str) -> str:
        """
        Return the output of a component so far.

        :param name: its name.
        """
        return "\n".join(self._processes.log_lines(name))

    def check_alive(self) -> None:
        """
        Check that no component has ended by itself.

        :raises ProcessError: if one has.
        """
        self._processes.check_alive()

    def survivors(self) -> set[int]:
        """Return the ids of all running processes of this Airflow."""
        return self._processes.survivors()

    def is_healthy(self) -> bool:
        """Tell whether all components report that they are healthy."""
        # The report also names components that this stack does not run, with the status null.
        statuses = {part: report["status"] for part, report in self.api.health().items()}
        expected = {"metadatabase", *(name.replace("-", "_") for name in self.components)} & statuses.keys()
        return all(statuses[part] == "healthy" for part in expected)

    def wait_until(self, condition: Callable[[], bool], what: str, timeout: float = START_SECONDS) -> None:
        """
        Wait until a condition is true.

        :param condition: checked again and again.
        :param what: what the wait is for, as a sentence for the error message.
        :param timeout: seconds to wait at most.
        :raises ProcessError: if the time is over, or a component has ended by itself.
        """

        def checked() -> bool:
            self.check_alive()
            return condition()

        try:
            wait_until(checked, timeout, what)
        except TimeoutError as error:
            logs = "\n".join(f"{name}:{self._processes.log_tail(name)}" for name in self.components)
            raise ProcessError(f"{error}\n{logs}") from None

    def _answers(self) -> bool:
        try:
            self.api.health()
        except httpx.TransportError:
            return False
        return True

    def _is_parsed(self) -> bool:
        if not self._dag_ids or self._dag_ids <= self.api.dag_ids():
            return True
        if errors := self.api.import_errors():
            text = "\n".join(f"{file}:\n{traceback}" for file, traceback in errors.items())
            raise ProcessError(f"DAG files cannot be imported:\n{text}")
        return False


def _celery_settings(broker_url: str, parallelism: int) -> dict[str, str]:
    return {
        "AIRFLOW__CORE__EXECUTOR": "airflow.providers.celery.executors.celery_executor.CeleryExecutor",
        "AIRFLOW__CELERY__BROKER_URL": broker_url,
        "AIRFLOW__CELERY__RESULT_BACKEND": broker_url,
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(parallelism),
    }


def free_port() -> int:
    """Return a port of the loopback interface that no process uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
