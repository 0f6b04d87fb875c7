"""The command line: ``python -m airflow_provider_zbackup.emulator``."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import signal
import sys
from contextlib import ExitStack
from textwrap import fill, indent
from typing import get_args

from airflow_provider_zbackup.emulator import ControlPlane, Settings, open_data, seed, serve
from airflow_provider_zbackup.emulator.api import OPERATIONS
from airflow_provider_zbackup.emulator.checked_model import explain
from airflow_provider_zbackup.emulator.control_plane import ConflictScope
from airflow_provider_zbackup.emulator.faults import BACKGROUND_OPERATIONS
from airflow_provider_zbackup.emulator.history import add_history

_EPILOG = f"""\
The first line of output is a shell command. It sets the Airflow connection zilliz_default to the emulator.
Open the same address in a browser to see a console. Ctrl-C stops the emulator.

at the start, organisation {seed.ORGANIZATION_ID}
has project {seed.PROJECT_ID} with:
  {seed.DEDICATED_CLUSTER_ID}  Dedicated-01: medium_articles, quick_setup; sales: orders, customers
  {seed.SECOND_DEDICATED_CLUSTER_ID}  Dedicated-02: products
  {seed.SERVERLESS_CLUSTER_ID}  Serverless-01
  {seed.FREE_CLUSTER_ID}  Free-01
  {seed.STORAGE_INTEGRATION_ID}  a storage integration, for exports
The connectAddress of each serves the API's routes that show collections, and count and return their rows.
With --data, that of a Dedicated cluster also serves pymilvus: MilvusClient(address, token=key).

admin API (JSON, no key needed), below /_emulator:
  GET    /state     shows the whole state
  POST   /reset     goes back to the state at the start
  PATCH  /settings  changes any of these settings:
                    {{"job_seconds": 60, "list_lag": 5, "job_lag": 2, "conflict_scope": "organisation",
                     "conflict_code": 1, "conflict_message": "Busy. {{}}",
                     "restore_policies": ["LATEST"], "copies_listed": "same_id", "copies_block": true,
                     "console_policies": "null", "load_seconds": 2}}
  POST   /backups   starts a backup as a policy does, or with MANUAL as a colleague does:
                    {{"cluster_id": "...", "creation_method": "AUTO", "job": {{"seconds": 60}}}}
  POST   /jobs/end  ends a running job:
                    {{"job_id": "...", "status": "FAILED", "reason": "disk full"}}; also CANCELED
  POST   /clock     moves the clock forward: {{"seconds": 3600}}
  POST   /clusters  changes a cluster, or adds one with cluster_name, databases, ...:
                    {{"cluster_id": "...", "status": "STOPPED"}}
  POST   /projects  changes or adds a project:
                    {{"project_id": "...", "project_name": "..."}}
  POST   /storage_integrations  changes or adds a storage integration:
                    {{"integration_id": "...", "status": "INACTIVE"}}
  POST   /console_policies  sets a policy that only the console can set:
                    {{"cluster_id": "...", "frequency": "0 3 1 * *", "start_time": "03:00 Europe/Berlin"}}
  GET    /requests  shows the requests that the API got; DELETE forgets them
  GET    /faults    shows the fault rules; DELETE removes them
  POST   /faults    adds a fault rule, for example:
    {{"operation": "create_backup", "times": 1, "status": 503, "headers": {{"Retry-After": "2"}}}}
    {{"operation": "list_backups", "code": 96005, "message": "Invalid projectId."}}
    {{"operation": "describe_job", "skip": 2, "times": 1, "delay": 40}}
    {{"operation": "create_backup", "drop": true, "after": true}}
    {{"operation": "describe_job", "truncate": true}}
    {{"operation": "describe_job", "garbage": true}}
    {{"operation": "create_backup", "job": {{"status": "FAILED", "at_progress": 40, "reason": "disk full"}}}}
  skip    the rule ignores this many requests first
  times   then it applies this many times; without it, always
  after   the operation does its work before the status, code, delay or drop
  job     gets its "status" at "at_progress" percent, without it at the end; a status that is not final, such
          as CANCELING, stays. It also takes "seconds", "running_status", and "progress": percent, number,
          null, absent or any text

operations of fault rules ("*" means all):
{indent(fill(", ".join(operation.name for operation in OPERATIONS), 100), "  ")}
  only for rules with a job: {", ".join(sorted(BACKGROUND_OPERATIONS))}
"""


def main() -> int:
    """Serve until SIGINT or SIGTERM."""
    options = _options()
    logging.basicConfig(stream=sys.stderr, level=options.log_level.upper())
    # Block the signals before the server's thread starts: then only sigwait() below receives them.
    endings = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, endings)
    try:
        with ExitStack() as stack:
            control_plane = ControlPlane(
                api_key=options.api_key,
                settings=Settings(job_seconds=options.job_seconds, conflict_scope=options.conflict_scope),
                data=stack.enter_context(open_data(options.host)) if options.data else None,
            )
            if options.history:
                add_history(control_plane)
            emulator = stack.enter_context(
                serve(
                    control_plane,
                    host=options.host,
                    port=options.port,
                    ssl_certfile=options.ssl_certfile,
                    ssl_keyfile=options.ssl_keyfile,
                    log_level=options.log_level,
                )
            )
            connection = shlex.quote(json.dumps(emulator.connection))
            print(f"export AIRFLOW_CONN_ZILLIZ_DEFAULT={connection}", flush=True)
            signal.sigwait(endings)
    except (ImportError, OSError, ValueError) as error:
        print(f"emulator: {explain(error)}", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_zbackup.emulator",
        description="Serve an emulator of Zilliz Cloud on this machine. Its state is gone when it ends.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="listen on this address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="listen on this port (default: any free one)")
    parser.add_argument("--api-key", default=seed.API_KEY, help="accept this API key (default: %(default)s)")
    parser.add_argument(
        "--job-seconds",
        type=float,
        default=10.0,
        help="seconds that a job takes (default: %(default)s)",
    )
    parser.add_argument(
        "--conflict-scope",
        choices=get_args(ConflictScope),
        default="cluster",
        help="allow one manual backup at a time per cluster or organisation (default: %(default)s)",
    )
    parser.add_argument("--history", action="store_true", help="start with 30 days of backups, until a reset")
    parser.add_argument(
        "--data",
        action="store_true",
        help="give each Dedicated cluster a Milvus Lite with real vectors (needs the extra emulator-data)",
    )
    parser.add_argument("--ssl-certfile", help="serve HTTPS with this certificate")
    parser.add_argument("--ssl-keyfile", help="the private key of that certificate")
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="warning",
        help="log from this level on to standard error (default: %(default)s)",
    )
    options = parser.parse_args()
    if options.data and (options.history or options.ssl_certfile):
        parser.error("--data goes with neither --history nor --ssl-certfile")
    return options


if __name__ == "__main__":
    sys.exit(main())
