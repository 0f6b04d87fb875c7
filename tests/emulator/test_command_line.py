from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys

import httpx
import pytest

from airflow_provider_zbackup.emulator import Settings, seed

COMMAND = [sys.executable, "-m", "airflow_provider_zbackup.emulator"]
PREFIX = "export AIRFLOW_CONN_ZILLIZ_DEFAULT="


def start(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_says_how_to_connect_serves_and_ends(ending: signal.Signals) -> None:
    with start("--api-key", "it's a key", "--job-seconds", "0") as process:
        line = first_line(process)
        assert line.startswith(PREFIX + "'")
        (assignment,) = shlex.split(line)[1:]
        connection = json.loads(assignment.partition("=")[2])
        assert connection["conn_type"] == "zilliz"
        assert connection["password"] == "it's a key"
        assert connection["extra"]["console_url"] == connection["host"]
        with httpx.Client(
            base_url=connection["host"], headers={"Authorization": "Bearer it's a key"}, trust_env=False
        ) as client:
            path = f"/v2/clusters/{seed.DEDICATED_CLUSTER_ID}/backups/create"
            job_id = client.post(path, json={"backupType": "CLUSTER"}).json()["data"]["jobId"]
            assert client.get(f"/v2/jobs/{job_id}").json()["data"]["status"] == "SUCCESSFUL"
            process.send_signal(ending)
            rest, errors = process.communicate(timeout=30)

    assert (process.returncode, rest, errors) == (0, "", "")


def test_the_line_is_in_plain_single_quotes_and_logs_go_to_standard_error() -> None:
    with start("--log-level", "info") as process:
        line = first_line(process)
        connection = json.loads(line.removeprefix(PREFIX + "'").removesuffix("'\n"))
        with httpx.Client(headers={"Authorization": "Bearer secret-key"}, trust_env=False) as client:
            client.get(f"{connection['host']}/v2/projects")
        process.terminate()
        rest, errors = process.communicate(timeout=30)

    assert connection["password"] == seed.API_KEY
    assert rest == ""
    assert "GET /v2/projects" in errors
    assert "secret-key" not in errors


@pytest.mark.parametrize("options", [["--job-seconds", "-1"], ["--ssl-certfile", "nowhere.pem"]])
def test_it_says_why_it_cannot_serve(options: list[str]) -> None:
    with start(*options) as process:
        output, errors = process.communicate(timeout=30)

    assert (process.returncode, output) == (1, "")
    assert errors.startswith("emulator: ")
    assert "Traceback" not in errors


def test_help_tells_the_ids_and_the_operations() -> None:
    text = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True).stdout

    for word in (seed.DEDICATED_CLUSTER_ID, "/_emulator", "restore_collection_backup", "--job-seconds"):
        assert word in text
    for name in Settings.model_fields:
        assert f'"{name}": ' in text


def test_without_the_extra_it_says_what_real_data_need() -> None:
    code = (
        "import sys; sys.modules['milvus_lite'] = None\n"
        "from airflow_provider_zbackup.emulator.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--data"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'airflow-provider-zbackup[emulator-data]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", [["--history"], ["--ssl-certfile", "a.pem"]])
def test_what_does_not_go_with_real_data(option: list[str]) -> None:
    done = subprocess.run([*COMMAND, "--data", *option], capture_output=True, text=True)
    assert done.returncode == 2
    assert "--data goes with neither" in done.stderr


def test_without_real_data_nothing_of_them_is_imported() -> None:
    code = "import sys, airflow_provider_zbackup.emulator.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"milvus_lite", "pymilvus", "grpc", "numpy"} & set(loaded.split())


def test_without_its_extra_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['starlette'] = None; import airflow_provider_zbackup.emulator"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: The emulator needs its extra: pip install 'airflow-provider-zbackup[emulator]'"
    )
