"""What a DAG file costs to parse."""

from __future__ import annotations

import json
import subprocess
import sys

PARSE = """
import json, sys
import airflow_provider_zbackup.operators.backup
import airflow_provider_zbackup.sensors.backup
import airflow_provider_zbackup.sensors.job
print("MODULES", json.dumps(list(sys.modules)))
"""


def test_a_dag_file_loads_nothing_that_only_a_task_needs() -> None:
    done = subprocess.run([sys.executable, "-c", PARSE], capture_output=True, text=True, check=True)
    ours = {
        module.removeprefix("airflow_provider_zbackup.")
        for module in json.loads(done.stdout.split("MODULES")[1])
        if module.startswith("airflow_provider_zbackup.")
    }
    assert "operators.backup" in ours
    heavy = ("emulator", "hooks.zilliz", "triggers.", "zilliz.client", "zilliz.flows", "zilliz.models")
    assert [module for module in sorted(ours) if module.startswith(heavy)] == []
