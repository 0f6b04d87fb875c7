"""The process of the emulator is killed while clients write and collections are restored."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from milvus_lite.db import MilvusLite
from pymilvus import MilvusClient, MilvusException

from airflow_provider_zbackup.emulator.seed import API_KEY
from tests.data.cloud import CLUSTER, Cloud, wait_until
from tests.data.writing import carry_out, make_collection, rows_after

WRITES = 8


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """An emulator whose data are in ``tmp_path``."""
    command = [sys.executable, "-m", "airflow_provider_zbackup.emulator", "--data", "--job-seconds", "0"]
    with subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    ) as started:
        yield started
        started.kill()


@pytest.mark.parametrize("writes_before", [1, 30])
def test_what_was_acknowledged_is_found_again(
    process: subprocess.Popen[str], tmp_path: Path, writes_before: int
) -> None:
    assert process.stdout
    (assignment,) = shlex.split(process.stdout.readline())[1:]
    connection = json.loads(assignment.partition("=")[2])
    headers = {"Authorization": f"Bearer {API_KEY}"}
    acknowledged, refused = 0, threading.Event()
    with httpx.Client(base_url=connection["host"], headers=headers, trust_env=False) as http:
        cloud = Cloud(http)
        milvus = MilvusClient(cloud.address(CLUSTER), token=API_KEY)
        make_collection(milvus, "saved")
        for number in range(WRITES):
            carry_out(milvus, "saved", 0, number)
        backup_id = cloud.back_up("saved")
        make_collection(milvus, "written")

        def write() -> None:
            nonlocal acknowledged
            try:
                while True:
                    carry_out(milvus, "written", 0, acknowledged)
                    acknowledged += 1
            except MilvusException:
                refused.set()

        def restore() -> None:
            number = 0
            try:
                while True:
                    cloud.end_of(cloud.start_restore(backup_id, ("saved", f"restored_{number}")))
                    number += 1
            except httpx.TransportError:
                return

        threads = [threading.Thread(target=each) for each in (write, restore)]
        for thread in threads:
            thread.start()
        wait_until(lambda: acknowledged >= writes_before, "nobody writes")
        process.kill()
        process.wait()
        for thread in threads:
            thread.join(60)
        assert refused.is_set(), "The client was told that the cluster is gone."
        milvus.close()

    (directory,) = (path.parent.parent for path in tmp_path.glob("zilliz-emulator-*/*/collections/written"))
    with MilvusLite(str(directory)) as lite:
        found = {}
        for name in lite.list_collections():
            collection = lite.get_collection(name)
            collection.load()
            found[name] = {row["id"]: row for row in collection.query()}
    written = found.pop("written")
    # The last write may have been carried out without an answer.
    assert written in (rows_after(acknowledged), rows_after(acknowledged + 1))
    assert found.pop("saved") == rows_after(WRITES)
    for name in ("medium_articles", "quick_setup"):
        assert found.pop(name)
    assert all(rows == rows_after(WRITES) for rows in found.values()), "a half collection"
