"""The command line: ``python -m airflow_provider_zbackup.emulator``."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import signal
import sys
from textwrap import fill, indent
from typing import get_args

from airflow_provider_zbackup.emulator import ControlPlane, Settings, seed, serve
from airflow_provider_zbackup.emulator.api import OPERATIONS
from airflow_provider_zbackup.emulator.checked_model import explain
from airflow_provider_zbackup.emulator.control_plane import ConflictScope
from airflow_provider_zbackup.emulator.faults import BACKGROUND_OPERATIONS

_EPILOG = f"""\
The first line of output is a shell command that sets the Airflow connection zilliz_default to it.
A browser shows a console at the same address. Ctrl-C ends it.

from the start there are, in organisation {seed.ORGANIZATION_ID},
project {seed.PROJECT_ID}:
  {seed.DEDICATED_CLUSTER_ID}  Dedicated-01: medium_articles, quick_setup; sales: orders, customers
  {seed.SECOND_DEDICATED_CLUSTER_ID}  Dedicated-02: products
  {seed.SERVERLESS_CLUSTER_ID}  Serverless-01
  {seed.FREE_CLUSTER_ID}  Free-01
  {seed.STORAGE_INTEGRATION_ID}  a storage integration, for exports

admin API (JSON, no key needed), below /_emulator:
  GET    /state     everything there is
  POST   /reset     back to the start
  PATCH  /settings  {{"job_seconds": 60, "list_lag": 5, "job_lag": 2, "conflict_scope": "organisation",
                     "conflict_code": 1, "conflict_message": "Busy. {{}}"}}, any of these
  POST   /backups   {{"cluster_id": "...", "creation_method": "AUTO", "job": {{"seconds": 60}}}}
                    a policy's backup in the way; MANUAL makes it a colleague's
  POST   /clusters  {{"cluster_id": "...", "status": "STOPPED"}}
                    suspends one, or adds one, with cluster_name, databases, ...
  POST   /projects  {{"project_id": "...", "project_name": "..."}}
  GET    /requests  what the API was asked; DELETE forgets it
  GET    /faults    the fault rules; DELETE removes them
  POST   /faults    one more fault rule, of these kinds:
    {{"operation": "create_backup", "times": 1, "status": 503, "headers": {{"Retry-After": "2"}}}}
    {{"operation": "list_backups", "code": 96005, "message": "Invalid projectId."}}
    {{"operation": "describe_job", "skip": 2, "times": 1, "delay": 40}}
    {{"operation": "create_backup", "drop": true, "after": true}}
    {{"operation": "describe_job", "truncate": true}}, and the same with "garbage"
    {{"operation": "create_backup", "job": {{"status": "FAILED", "at_progress": 40, "reason": "disk full"}}}}
  A rule lets "skip" requests pass and then holds "times" times, without it for ever. "after" does the work
  before the status, code, delay or drop. A job without "at_progress" gets there at the end; one with a status
  that is not final, such as CANCELING, stays there for ever. More for jobs: "seconds", "running_status", and
  "progress", one of percent, number, null, absent, or any text.

operations, beside "*":
{indent(fill(", ".join(operation.name for operation in OPERATIONS), 100), "  ")}
  and for the jobs they start: {", ".join(sorted(BACKGROUND_OPERATIONS))}
"""


def main() -> int:
    """Serve until SIGINT or SIGTERM comes."""
    options = _options()
    logging.basicConfig(stream=sys.stderr, level=options.log_level.upper())
    # Blocked before the server's thread begins, so that no thread but this one, below, ever takes them.
    endings = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, endings)
    try:
        control_plane = ControlPlane(
            api_key=options.api_key,
            settings=Settings(job_seconds=options.job_seconds, conflict_scope=options.conflict_scope),
        )
        with serve(
            control_plane,
            host=options.host,
            port=options.port,
            ssl_certfile=options.ssl_certfile,
            ssl_keyfile=options.ssl_keyfile,
            log_level=options.log_level,
        ) as emulator:
            connection = shlex.quote(json.dumps(emulator.connection))
            print(f"export AIRFLOW_CONN_ZILLIZ_DEFAULT={connection}", flush=True)
            signal.sigwait(endings)
    except (OSError, ValueError) as error:
        print(f"emulator: {explain(error)}", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_zbackup.emulator",
        description="Serve a Zilliz Cloud control plane, with state in memory only, on this machine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any free one)")
    parser.add_argument("--api-key", default=seed.API_KEY, help="the key to let in (default: %(default)s)")
    parser.add_argument(
        "--job-seconds", type=float, default=10.0, help="how long a job lasts (default: %(default)s)"
    )
    parser.add_argument(
        "--conflict-scope",
        choices=get_args(ConflictScope),
        default="cluster",
        help="within what only one manual backup may run at a time (default: %(default)s)",
    )
    parser.add_argument("--ssl-certfile", help="serve HTTPS with this certificate")
    parser.add_argument("--ssl-keyfile", help="the key of that certificate")
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="warning",
        help="how much to tell on standard error (default: %(default)s)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
