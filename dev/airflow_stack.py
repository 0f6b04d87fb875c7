"""
A real, throw-away Airflow 3, in processes: api-server, scheduler, dag-processor, triggerers, Celery workers.

    with AirflowStack(Path("example_dags"), dag_ids=["backup_before_migration"]) as stack:
        run_id = stack.api.trigger_dag_run("backup_before_migration")
        stack.kill("triggerer", signal.SIGKILL)
        stack.start("triggerer")
        stack.api.wait_for_dag_run("backup_before_migration", run_id, timeout=60)
"""

from __future__ import annotations

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

# Generous, as a slow machine is no error: a stack that cannot start fails sooner, by a component that ends.
START_SECONDS = 180.0

# `-s`: all components log into one folder, so nobody needs to serve logs, and many fit on one machine.
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
    # A schedule in the folder must not start what nobody asked for; `dag_ids` are unpaused.
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    # Nobody has to log in.
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    # The connection form gets its Test button.
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    # The default asks the name server, which may be slow or absent.
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    # The migration has just been done; each component would look again.
    "AIRFLOW__DATABASE__CHECK_MIGRATIONS": "False",
    "AIRFLOW__API__HOST": "127.0.0.1",
    # One worker is the quickest to start and serves one user well.
    "AIRFLOW__API__WORKERS": "1",
    # The first look at the folder finds the DAGs; later ones only cost time.
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    # Seconds after which a worker's end is noticed. The default of 5 has a race: a trigger that fires before
    # the executor has noticed the deferral lets the scheduler fail the task.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    # The default of 1 s delays every task of an idle scheduler by as much.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # Its colours are for terminals, and nobody reads the logs in one.
    "NO_COLOR": "1",
    # macOS kills forked processes that use its network libraries, unless told not to.
    "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
}


class AirflowStack:
    """
    A real Airflow on this machine, for the time of a ``with`` block; nothing of it remains.

    The components are processes with names: those of ``COMPONENTS``, ``worker`` for a Celery worker, and with
    a number any further one of its kind, as in ``triggerer-2``.

    :param dags_folder: folder of the DAG files.
    :param dag_ids: DAGs that are parsed and unpaused before the block begins; all others stay paused.
    :param environment: further variables for all components: connections, configuration.
    :param components: which to start; with Celery at least one ``worker`` belongs to them.
    :param database_url: SQLAlchemy URL of an empty database. SQLite, the default, bears few tasks at a time.
    :param celery_broker_url: URL of a Redis, to use the CeleryExecutor; by default it is the LocalExecutor.
    :param parallelism: task slots, each of them a process that the LocalExecutor starts in advance.
    :param keep: keep the folder with database and logs at the end.
    :ivar components: the names of those components.
    :ivar api: the REST API.
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
        keep: bool = False,
    ) -> None:
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
            self.base_url = f"http://127.0.0.1:{port}"
            self.api = AirflowApi(self.base_url, self.check)
            undo.callback(self.api.close)
            self._environment = self._processes.environment(
                AIRFLOW_HOME=str(self.home),
                AIRFLOW__API__PORT=str(port),
                # Workers and triggerers find the api-server by it.
                AIRFLOW__API__BASE_URL=self.base_url,
                **self._settings,
            )
            self._start_all()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def home(self) -> Path:
        """The throw-away AIRFLOW_HOME."""
        return self._processes.folder / "airflow"

    def _start_all(self) -> None:
        self._processes.run(
            "db-migrate", self.command("db", "migrate"), self._environment, timeout=START_SECONDS
        )
        for name in self.components:
            self.start(name)
        self.wait_until(self._answers, "The api-server answers")
        self.api.log_in()
        self.wait_until(self.is_healthy, "All components are healthy")
        self.wait_until(self._is_parsed, f"The DAGs are parsed: {', '.join(sorted(self._dag_ids))}")
        for dag_id in self._dag_ids:
            self.api.unpause(dag_id)

    def command(self, *arguments: str) -> list[str]:
        """
        Return a command line of Airflow's, for this very Python.

        :param arguments: what would follow ``airflow``.
        """
        return [sys.executable, "-m", "airflow", *arguments]

    def run(self, *arguments: str) -> str:
        """
        Run a command of Airflow's in the environment of the components.

        :param arguments: what would follow ``airflow``.
        :return: what it wrote.
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
        Stop a component in an orderly way, with all that it started, and wait until it is gone.

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

    def is_running(self, name: str) -> bool:
        """
        Tell whether a component runs.

        :param name: its name.
        """
        return self._processes.is_running(name)

    def log(self, name: str) -> str:
        """
        Return what a component has written so far.

        :param name: its name.
        """
        return "\n".join(self._processes.log_lines(name))

    def check(self) -> None:
        """
        Make sure that no component has ended of its own accord.

        :raises ProcessError: if one has.
        """
        self._processes.check()

    def survivors(self) -> set[int]:
        """Return the ids of all processes that belong to this Airflow and still run."""
        return self._processes.survivors()

    def is_healthy(self) -> bool:
        """Tell whether every kind of component says of itself that it is healthy."""
        # A component that this stack does not run, say a triggerer, has the status null.
        statuses = {part: report["status"] for part, report in self.api.health().items()}
        expected = {"metadatabase", *(name.replace("-", "_") for name in self.components)} & statuses.keys()
        return all(statuses[part] == "healthy" for part in expected)

    def wait_until(self, condition: Callable[[], bool], what: str, timeout: float = START_SECONDS) -> None:
        """
        Wait until a condition holds, or a component ends of its own accord.

        :param condition: looked at again and again.
        :param what: what is awaited, for the error message.
        :param timeout: seconds to wait at most.
        """

        def checked() -> bool:
            self.check()
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
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
