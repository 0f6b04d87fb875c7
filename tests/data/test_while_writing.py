"""What a backup holds and a restore brings back, whatever else goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from airflow_provider_zbackup.emulator import RunningEmulator
from tests.data.cloud import CLUSTER, Cloud, count, wait_until
from tests.data.writing import KEYS, carry_out, make_collection, moments, rows_after

WRITERS = 3
PAGE = 10_000
#: So many that the engine merges files meanwhile. `BACKUPS=25 make test-data` makes more of them.
BACKUPS = int(os.environ.get("BACKUPS", "5"))
ROOT = Path(__file__).parents[2]


class Writer:
    """
    A process that writes.

    :ivar acknowledged: how many of its writes the cluster has taken.
    """

    def __init__(self, address: str, token: str, number: int) -> None:
        self.number = number
        self.acknowledged = 0
        self.ended = threading.Event()
        self._stopped = threading.Event()
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.data.writing", address, token, str(number)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        threading.Thread(target=self._listen).start()

    def begin(self, collection: str) -> None:
        assert self._ready.wait(60)
        self.acknowledged = 0
        self._stopped.clear()
        self._tell(collection)

    def stop(self) -> None:
        self._tell("")
        assert self._stopped.wait(60)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()
        self.ended.wait(60)

    def _tell(self, line: str) -> None:
        assert self._process.stdin
        print(line, file=self._process.stdin, flush=True)

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.strip() == "ready":
                self._ready.set()
            elif line.strip():
                self.acknowledged = int(line)
            else:
                self._stopped.set()
        self.ended.set()


@pytest.fixture
def writers(cloud: Cloud, emulator: RunningEmulator) -> Iterator[list[Writer]]:
    with ExitStack() as stack:
        made = []
        for number in range(WRITERS):
            made.append(Writer(cloud.address(CLUSTER), emulator.control_plane.api_key, number))
            stack.callback(made[-1].end)
        yield made


def rows_of(client: MilvusClient, name: str, writer: int = 0) -> dict[int, Any]:
    """Return all rows that a writer has written, by key."""
    rows: dict[int, Any] = {}
    first = writer * KEYS
    # No answer has more than 16,384 rows. A writer leaves no gap that is as large as a page.
    for begin in range(first, first + KEYS, PAGE):
        page = client.query(name, filter=f"id >= {begin} and id < {begin + PAGE}", output_fields=["*"])
        if not page:
            break
        rows |= {row["id"] - first: {**row, "id": row["id"] - first} for row in page}
    return rows


def wait_for_writes(writers: list[Writer], more: int) -> None:
    """Wait until each writer has done so many more writes."""
    goal = {writer: writer.acknowledged + more for writer in writers}
    wait_until(lambda: all(writer.acknowledged >= goal[writer] for writer in writers), "nobody writes")


def test_backups_made_while_three_processes_write_are_what_was_there_at_one_moment(
    milvus: MilvusClient, cloud: Cloud, writers: list[Writer]
) -> None:
    make_collection(milvus, "written")
    for writer in writers:
        writer.begin("written")
    wait_for_writes(writers, 4)

    def restore_and_compare(name: str) -> None:
        assert cloud.end_of(cloud.start_restore(backup_id, ("written", name)))["status"] == "SUCCESSFUL"
        total = 0
        for writer in writers:
            rows = rows_of(milvus, name, writer.number)
            possible = moments(before[writer.number], after[writer.number])
            assert any(rows == each for each in possible), writer.number
            total += len(rows)
        assert count(milvus, name) == total
        milvus.drop_collection(name)

    for _ in range(BACKUPS):
        before = [writer.acknowledged for writer in writers]
        backup_id = cloud.back_up("written")
        # What is written while the backup is made may be in it, or not. But not what is sent after it.
        after = [writer.acknowledged + 1 for writer in writers]
        restore_and_compare("copy")
    for writer in writers:
        writer.stop()
    milvus.drop_collection("written")
    restore_and_compare("written")


@pytest.fixture
def one(milvus: MilvusClient) -> dict[int, Any]:
    """The rows of a collection with the name ``one``."""
    make_collection(milvus, "one")
    for number in range(9):
        carry_out(milvus, "one", 0, number)
    return rows_after(9)


def everything(emulator: RunningEmulator) -> set[str]:
    """Return all files of the cluster, without those that come and go in the background."""
    engine = emulator.control_plane.clusters[CLUSTER].engine
    assert engine is not None
    return {str(path) for path in engine._directory.rglob("*.json") if "prev" not in path.name}


def test_two_restores_at_once(milvus: MilvusClient, cloud: Cloud, one: dict[int, Any]) -> None:
    backup_id = cloud.back_up()
    jobs = [cloud.start_restore(backup_id, ("one", name)) for name in ("two", "three")]
    jobs.append(cloud.start_cluster_restore(backup_id)["jobId"])
    assert [cloud.end_of(job)["status"] for job in jobs] == ["SUCCESSFUL"] * 3
    assert rows_of(milvus, "two") == rows_of(milvus, "three") == one


def test_a_restore_while_a_backup_is_made_and_three_processes_write(
    milvus: MilvusClient, cloud: Cloud, one: dict[int, Any], writers: list[Writer]
) -> None:
    first = cloud.back_up("one")
    make_collection(milvus, "written")
    for writer in writers:
        writer.begin("written")
    wait_for_writes(writers, 4)
    started = cloud.start_backup("one", "written")
    job = cloud.start_restore(first, ("one", "two"))
    assert cloud.end_of(started["jobId"])["status"] == cloud.end_of(job)["status"] == "SUCCESSFUL"
    for writer in writers:
        writer.stop()
    job = cloud.start_restore(started["backupId"], ("one", "three"))
    assert cloud.end_of(job)["status"] == "SUCCESSFUL"
    assert rows_of(milvus, "two") == rows_of(milvus, "three") == one


def _fails(cloud: Cloud, emulator: RunningEmulator, backup_id: str) -> str:
    emulator.control_plane.faults.add("restore_collection_backup", times=1, job={"status": "FAILED"})
    return cloud.start_restore(backup_id, ("one", "two"))


def _is_canceled(cloud: Cloud, emulator: RunningEmulator, backup_id: str) -> str:
    emulator.control_plane.configure(job_seconds=3600)
    job_id = cloud.start_restore(backup_id, ("one", "two"))
    emulator.control_plane.end_job(job_id, "CANCELED")
    return job_id


@pytest.mark.parametrize("start", [_fails, _is_canceled])
def test_a_restore_that_fails_leaves_nothing(
    milvus: MilvusClient,
    cloud: Cloud,
    emulator: RunningEmulator,
    one: dict[int, Any],
    start: Callable[[Cloud, RunningEmulator, str], str],
) -> None:
    backup_id = cloud.back_up("one")
    files = everything(emulator)

    job = cloud.end_of(start(cloud, emulator, backup_id))

    assert job["status"] in ("FAILED", "CANCELED")
    wait_until(lambda: everything(emulator) == files, "files are left")
    assert milvus.list_collections() == ["medium_articles", "one", "quick_setup"]
    assert rows_of(milvus, "one") == one


def test_a_name_that_is_taken_meanwhile_fails_the_whole_restore(
    milvus: MilvusClient, cloud: Cloud, emulator: RunningEmulator
) -> None:
    backup_id = cloud.back_up("medium_articles", "quick_setup")
    for name in milvus.list_collections():
        milvus.drop_collection(name)
    emulator.control_plane.configure(job_seconds=3600)
    job_id = cloud.start_restore(backup_id)
    make_collection(milvus, "quick_setup")
    carry_out(milvus, "quick_setup", 0, 0)

    emulator.control_plane.advance(3600)

    job = cloud.end_of(job_id)
    assert job["status"] == "FAILED"
    assert "exists in the destination" in job["reason"]
    assert milvus.list_collections() == ["quick_setup"]
    assert rows_of(milvus, "quick_setup") == rows_after(1)


def test_a_collection_that_is_dropped_before_it_is_taken_fails_the_backup(
    milvus: MilvusClient, cloud: Cloud, emulator: RunningEmulator, one: dict[int, Any]
) -> None:
    engine = emulator.control_plane.clusters[CLUSTER].engine
    assert engine is not None
    with engine._lock:
        started = cloud.start_backup("one")
        engine.remove("", "one")
    job = cloud.end_of(started["jobId"])
    assert (job["status"], job["reason"]) == ("FAILED", "Collection one does not exist any more.")
    assert cloud.call("GET", "/backups")["backups"] == []


def test_a_cluster_restore_that_fails_leaves_no_engine(
    cloud: Cloud, emulator: RunningEmulator, one: dict[int, Any], connect: Callable[..., MilvusClient]
) -> None:
    backup_id = cloud.back_up()
    emulator.control_plane.configure(job_seconds=3600)
    restored = cloud.start_cluster_restore(backup_id)
    emulator.control_plane.end_job(restored["jobId"], "FAILED", "disk full")

    assert cloud.cluster(restored["clusterId"])["status"] == "ABNORMAL"
    engine = emulator.control_plane.clusters[restored["clusterId"]].engine
    assert engine is not None
    wait_until(lambda: not engine._directory.exists() and not engine.is_open, "files are left")
    with pytest.raises(Exception, match="Fail connecting"):
        connect(restored["clusterId"])
