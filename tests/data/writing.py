"""What a writer writes: a process of its own, which tells after each write that the cluster has taken it."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

from pymilvus import DataType, MilvusClient

#: The keys of a writer begin at its number times this.
KEYS = 10_000_000
DIMENSIONS = 8
_BATCH = 40

Row = dict[str, Any]


def row(key: int, version: int) -> Row:
    """Return a row; each value follows from its key and version, and is exact in 32 bits."""
    vector = [float((key * 31 + version * 7 + number) % 1021) / 4 for number in range(DIMENSIONS)]
    return {"id": key, "version": version, "text": f"{key}:{version}", "vector": vector}


def write(number: int) -> tuple[str, list[Row]]:
    """
    Return what the write with a number does, counted from 0: ``insert``, ``upsert`` or ``delete``.

    Of four writes, two insert, one changes rows of the one before, and one deletes some of the rows before.
    """
    turn, kind = divmod(number, 4)
    first = turn * 2 * _BATCH
    if kind < 2:
        first += kind * _BATCH
        return "insert", [row(key, 0) for key in range(first, first + _BATCH)]
    if kind == 2:
        return "upsert", [row(key, 1) for key in range(first + _BATCH, first + _BATCH + 20)]
    return "delete", [row(key, 0) for key in range(first + 5, first + 15)]


def rows_after(writes: int) -> dict[int, Row]:
    """Return the rows after so many writes, by key."""
    return next(moments(writes, writes))


def moments(first: int, last: int) -> Iterator[dict[int, Row]]:
    """Yield the rows, by key, after so many writes, after one more, and so on. It is the same dictionary."""
    rows: dict[int, Row] = {}
    for number in range(last + 1):
        if number >= first:
            yield rows
        kind, changed = write(number)
        for each in changed:
            if kind == "delete":
                del rows[each["id"]]
            else:
                rows[each["id"]] = each


def make_collection(client: MilvusClient, name: str) -> None:
    """Make an empty collection that takes the rows. Its index finds exactly the nearest ones."""
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("version", DataType.INT64)
    schema.add_field("text", DataType.VARCHAR, max_length=64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSIONS)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index)


def carry_out(client: MilvusClient, name: str, writer: int, number: int) -> None:
    """Do the write with a number, with keys that only this writer has."""
    kind, rows = write(number)
    rows = [{**each, "id": each["id"] + writer * KEYS} for each in rows]
    if kind == "insert":
        client.insert(name, rows)
    elif kind == "upsert":
        client.upsert(name, rows)
    else:
        client.delete(name, ids=[each["id"] for each in rows])


def main() -> None:
    """
    Write into the collection that each line of the input names, until the next line, which is empty.

    Each line of the output is one write that was acknowledged; an empty one says that the writer has stopped.
    """
    address, token, writer = sys.argv[1:]
    client = MilvusClient(address, token=token)
    print("ready", flush=True)
    for line in sys.stdin:
        stop = threading.Event()

        def work(name: str = line.strip(), stop: threading.Event = stop) -> None:
            number = 0
            while not stop.is_set():
                carry_out(client, name, int(writer), number)
                number += 1
                print(json.dumps(number), flush=True)

        thread = threading.Thread(target=work)
        thread.start()
        sys.stdin.readline()
        stop.set()
        thread.join()
        print(flush=True)


if __name__ == "__main__":
    main()
