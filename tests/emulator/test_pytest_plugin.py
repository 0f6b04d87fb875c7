"""The plugin of pytest, in a pytest of its own, where nobody has run Airflow before."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.documents import run_pytest, shown_tests, write_shown_test

#: The tests of a user's DAGs.
PROJECT = Path(__file__).parent / "project"


def test_a_project_whose_airflow_has_backends_of_its_own(tmp_path: Path) -> None:
    """With the test that the documentation shows, in one pytest: Airflow starts slowly."""
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True)
    write_shown_test(tmp_path, shown_tests()[0])
    # Airflow asks it before the environment, so without care the tests would back up the real cluster.
    secrets = {"zilliz_default": {"conn_type": "zilliz", "host": "https://production.example"}}
    (tmp_path / "secrets.json").write_text(json.dumps(secrets))
    said = run_pytest(
        tmp_path,
        AIRFLOW__SECRETS__BACKEND="airflow.secrets.local_filesystem.LocalFilesystemBackend",
        AIRFLOW__SECRETS__BACKEND_KWARGS=json.dumps(
            {"connections_file_path": str(tmp_path / "secrets.json")}
        ),
        AIRFLOW__CORE__XCOM_BACKEND="kept_elsewhere.Backend",
    )
    assert re.search(r"^10 passed", said, re.M), said[-9000:]


def test_a_database_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    write_shown_test(tmp_path, "def test_it(zilliz_cloud):\n    zilliz_cloud.run(None)\n")
    said = run_pytest(tmp_path, AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS="no.such.thing")
    assert "no.such.thing" in said
    assert "1 failed" in said


def test_who_uses_the_package_needs_no_pytest() -> None:
    program = """
import sys
import airflow_provider_zbackup.emulator, airflow_provider_zbackup.operators.backup
import airflow_provider_zbackup.hooks.zilliz, airflow_provider_zbackup.triggers.backup
assert not {"pytest", "_pytest"} & set(sys.modules)
assert "airflow_provider_zbackup.emulator.pytest_plugin" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
