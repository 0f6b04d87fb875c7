"""Looking at the collections of a cluster: their structure, indexes, number of rows, and a sample of rows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict

from airflow_provider_zbackup.zilliz.data_models import CollectionDescription, CollectionField, LoadState
from airflow_provider_zbackup.zilliz.data_operations import (
    LARGEST_PAGE,
    CollectionAddress,
    count_rows,
    describe_collection,
    describe_index,
    get_load_state,
    get_rows,
    list_collections,
    list_databases,
    list_indexes,
    load_collection,
    next_keys,
    release_collection,
)
from airflow_provider_zbackup.zilliz.errors import (
    ZillizError,
    ZillizProtocolError,
    ZillizRefusedError,
    ZillizTimeoutError,
)
from airflow_provider_zbackup.zilliz.flows.steps import Flow, Pause, now, retrying
from airflow_provider_zbackup.zilliz.models import is_default_database
from airflow_provider_zbackup.zilliz.operations import describe_cluster
from airflow_provider_zbackup.zilliz.pacing import backoff
from airflow_provider_zbackup.zilliz.rows import (
    RowFingerprint,
    fingerprint_row,
    fingerprint_whole_row,
    inexact_fields,
    read_key,
)

#: At most this many pages of primary keys are read to choose a sample of rows: 1,048,576 keys.
KEY_PAGES = 64
LARGEST_INTEGER = 2**63 - 1
#: How long to wait until a collection is loaded, in seconds.
LOAD_TIME = 1800.0
#: The most bytes that one request for rows should be answered with.
ANSWER_SIZE = 8 * 1024 * 1024
#: The code for a collection that cannot be loaded because it has no index.
NO_INDEX = 700

Key: TypeAlias = int | str
#: The database, ``None`` for the default one, and the name of a collection.
Name: TypeAlias = tuple[str | None, str]


class CollectionFacts(BaseModel):
    """
    What is compared of a collection.

    :param fields: what is not as usual of each field, by name
    :param structure: everything else about the schema
    :param indexes: those of each field, by its name
    :param rows: their exact number; ``None`` if they were not counted
    :param sample: primary keys of some rows, each with the fingerprint of its row
    :param not_compared: what cannot be compared, and why
    """

    model_config = ConfigDict(frozen=True)

    database: str | None
    name: str
    fields: Mapping[str, Mapping[str, Any]]
    structure: Mapping[str, Any]
    indexes: Mapping[str, Sequence[Mapping[str, Any]]]
    rows: int | None = None
    sample: tuple[tuple[Key, str], ...] = ()
    not_compared: tuple[str, ...] = ()

    @property
    def key(self) -> Name:
        return self.database, self.name


class Manifest(BaseModel):
    """
    What the collections of a cluster were at a moment, so that a restore can be compared with it later.

    :param backup_id: the backup that began then
    """

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    cluster_id: str
    backup_id: str | None = None
    taken_at: datetime
    collections: tuple[CollectionFacts, ...]


class Observation(NamedTuple):
    """
    A collection as it is now.

    :param rows: the sampled rows, by primary key, with a fingerprint of each field
    """

    facts: CollectionFacts
    rows: Mapping[Key, RowFingerprint]


class Loader:
    """Loads collections to look at their rows, and releases them again."""

    def __init__(self) -> None:
        #: What is loaded and not yet released.
        self.loaded: list[CollectionAddress] = []

    def load(self, where: CollectionAddress) -> Flow[bool]:
        """Begin to load a collection; return ``False`` if that is impossible, since it has no index."""
        # Noted before the call: one without an answer may be carried out.
        self.loaded.append(where)
        try:
            yield from retrying(load_collection(where))
        except ZillizError as error:
            if error.code != NO_INDEX:
                raise
            self.loaded.remove(where)
            return False
        return True

    def release(self) -> Flow[None]:
        """Release all that is loaded."""
        while self.loaded:
            where = self.loaded.pop()
            try:
                yield from retrying(release_collection(where))
            except ZillizError as error:
                yield Pause(0, f"{where} was loaded to look at it, and could not be released again: {error}")


def open_data_plane(cluster_id: str) -> Flow[str]:
    """
    Return the address of a cluster's data plane.

    :raises ZillizRefusedError: when it has none, or does not run
    """
    cluster = (yield from retrying(describe_cluster(cluster_id))).value
    if not cluster.is_running or not cluster.connect_address:
        raise ZillizRefusedError(
            f"The data of cluster {cluster_id} cannot be read: it is {cluster.status or 'of unknown status'} "
            f"at {cluster.connect_address or 'no address'}.",
            cluster_id=cluster_id,
        )
    return cluster.connect_address


def read_database(name: str | None) -> str | None:
    """Return the name of a database in names of collections: ``None`` for the default one."""
    return None if is_default_database(name) else name


def list_names(address: str, database: str | None = None) -> Flow[list[Name]]:
    """
    Return the collections of a cluster.

    :param database: only those of this database; ``None`` means all databases
    """
    databases: Sequence[str | None] = [database]
    if database is None:
        databases = (yield from retrying(list_databases(address))).value
    names: list[Name] = []
    for each in map(read_database, databases):
        found = (yield from retrying(list_collections(address, each))).value
        names += [(each, name) for name in sorted(found)]
    return names


def take_manifest(
    cluster_id: str,
    collections: Sequence[str] | None = None,
    database: str | None = None,
    *,
    backup_id: str | None = None,
    sample_rows: int,
) -> Flow[Manifest]:
    """
    Record what collections are now. Nothing is loaded: of a collection that is not, rows are not recorded.

    :param collections: names of the collections, of one database; ``None`` means all of the cluster
    :param sample_rows: how many rows of each collection to sample
    """
    address = yield from open_data_plane(cluster_id)
    names: list[Name] = [(read_database(database), name) for name in collections or ()]
    if collections is None:
        names = yield from list_names(address)
    facts = []
    taken_at = datetime.fromtimestamp((yield from now()), UTC)
    for place, name in names:
        where = CollectionAddress(address, place, name)
        facts.append((yield from observe(where, sample_rows=sample_rows)).facts)
    return Manifest(cluster_id=cluster_id, backup_id=backup_id, taken_at=taken_at, collections=tuple(facts))


def observe(
    where: CollectionAddress,
    *,
    sample_rows: int = 0,
    keys: Sequence[Key] = (),
    loader: Loader | None = None,
) -> Flow[Observation]:
    """
    Look at a collection.

    :param sample_rows: how many rows to sample
    :param keys: primary keys of the rows to sample, instead
    :param loader: loads the collection if it is not, since rows are counted only then, and releases it again.
        After an error its caller does that. ``None`` loads nothing: nothing is said about the rows then
    """
    description = (yield from retrying(describe_collection(where))).value
    indexes = yield from _indexes(where)
    facts = CollectionFacts(
        database=where.database,
        name=where.name,
        fields={
            field.name: field.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
            for field in description.fields
        },
        structure=_structure(description),
        indexes=indexes,
    )
    state = (yield from retrying(get_load_state(where))).value
    if not (state.is_loaded or state.is_loading):
        if loader is None:
            return _without_rows(facts, "it is not loaded")
        if not (yield from loader.load(where)):
            return _without_rows(facts, "it has no index, so it cannot be loaded")
    yield from _wait_until_loaded(where, state)
    seen = yield from _look_at_rows(where, description, facts, sample_rows, keys)
    if loader is not None:
        yield from loader.release()
    return seen


def _without_rows(facts: CollectionFacts, why: str) -> Observation:
    return Observation(facts.model_copy(update={"not_compared": (f"rows: {why}",)}), {})


def _structure(description: CollectionDescription) -> dict[str, Any]:
    # A backup does not hold this setting.
    kept = {name: value for name, value in description.properties.items() if name != "collection.ttl.seconds"}
    structure = {
        "dynamic field": description.enable_dynamic_field,
        "partitions": description.partitions_num,
        "properties": kept,
        "functions": description.functions,
        "struct fields": description.struct_fields,
    }
    return {name: value for name, value in structure.items() if value}


def _indexes(where: CollectionAddress) -> Flow[dict[str, list[dict[str, Any]]]]:
    names = (yield from retrying(list_indexes(where))).value
    indexes: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        for index in (yield from retrying(describe_index(where, name))).value:
            kept = index.model_dump(include={"index_type", "metric_type", "index_params"})
            indexes.setdefault(index.field_name, []).append(kept)
    for each in indexes.values():
        each.sort(key=lambda index: json.dumps(index, sort_keys=True))
    return indexes


def _wait_until_loaded(where: CollectionAddress, state: LoadState) -> Flow[None]:
    until = (yield from now()) + LOAD_TIME
    pauses = backoff(first=0.5, longest=10.0)
    note: str | None = f"Waiting until {where} is loaded."
    while not state.is_loaded:
        state = (yield from retrying(get_load_state(where))).value
        if state.is_loaded:
            return
        if (yield from now()) >= until:
            raise ZillizTimeoutError(f"{where} is not loaded after {LOAD_TIME:.0f} s.")
        yield Pause(next(pauses), note)
        note = None


def _look_at_rows(
    where: CollectionAddress,
    description: CollectionDescription,
    facts: CollectionFacts,
    sample_rows: int,
    keys: Sequence[Key],
) -> Flow[Observation]:
    rows = (yield from retrying(count_rows(where))).value.rows
    key = description.key
    if key is None:
        raise ZillizProtocolError(f"Zilliz Cloud does not show the primary key of {where}.")
    chosen = keys or (yield from _choose_keys(where, key, rows, sample_rows))
    sampled, inexact = yield from _get_rows(where, description, key, chosen)
    notes = [
        f"{name}: integers beyond 2^53 in fields outside of the schema are not shown exactly"
        for name in sorted(inexact)
    ]
    sample = [(each, fingerprint_whole_row(row)) for each, row in sampled.items()]
    counted = {"rows": rows, "sample": tuple(sample), "not_compared": tuple(notes)}
    return Observation(facts.model_copy(update=counted), sampled)


def _choose_keys(where: CollectionAddress, key: CollectionField, rows: int, wanted: int) -> Flow[list[Key]]:
    """Return primary keys at even distances, as far as ``KEY_PAGES`` reach."""
    if not wanted:
        return []
    if rows > KEY_PAGES * LARGEST_PAGE and key.type == "Int64":
        return (yield from _choose_in_range(where, key, wanted))
    step = max(1, math.ceil(min(rows, KEY_PAGES * LARGEST_PAGE) / wanted))
    chosen: list[Key] = []
    seen = 0
    last: Key | None = None
    for _ in range(KEY_PAGES):
        page: list[Any] = yield from _keys_after(where, key, last, LARGEST_PAGE)
        chosen += page[-seen % step :: step]
        if len(page) < LARGEST_PAGE:
            break
        seen += len(page)
        last = max(page)
    return chosen[:wanted]


def _choose_in_range(where: CollectionAddress, key: CollectionField, wanted: int) -> Flow[list[Key]]:
    """Return integer keys from pages that begin at even distances between the smallest and the largest."""
    keys: set[Any] = set((yield from _keys_after(where, key, None, LARGEST_PAGE)))
    first = min(keys, default=0)
    # The largest key is not less than the first of these and not greater than the second.
    last, limit = first, LARGEST_INTEGER
    while last < limit:
        middle = (last + limit) // 2
        found = yield from _keys_after(where, key, middle, 1)
        if found:
            last = max(found)
        else:
            limit = middle
    for number in range(1, KEY_PAGES):
        after = first + (last - first) * number // KEY_PAGES
        keys.update((yield from _keys_after(where, key, after, LARGEST_PAGE)))
    return sorted(keys)[:: max(1, math.ceil(len(keys) / wanted))]


def _keys_after(
    where: CollectionAddress, key: CollectionField, after: Key | None, limit: int
) -> Flow[list[Any]]:
    rows = (yield from retrying(next_keys(where, key.name, after, limit))).value
    return [_key_of(row, key, where) for row in rows]


def _get_rows(
    where: CollectionAddress, description: CollectionDescription, key: CollectionField, keys: Sequence[Key]
) -> Flow[tuple[dict[Key, RowFingerprint], set[str]]]:
    """Return the fingerprints of rows, and the fields that cannot be compared exactly."""
    schema = {field.name: field for field in description.fields}
    fingerprints: dict[Key, RowFingerprint] = {}
    inexact: set[str] = set()
    size = _rows_per_request(description)
    for begin in range(0, len(keys), size):
        asked = get_rows(where, key.name, keys[begin : begin + size])
        for row in (yield from retrying(asked)).value:
            fingerprints[_key_of(row, key, where)] = fingerprint_row(row, schema)
            inexact |= inexact_fields(row, schema)
    return fingerprints, inexact


def _key_of(row: Mapping[str, Any], key: CollectionField, where: CollectionAddress) -> Key:
    try:
        return read_key(key, row[key.name])
    except (KeyError, ValueError):
        raise ZillizProtocolError(f"A row of {where} was answered without its primary key.") from None


def _rows_per_request(description: CollectionDescription) -> int:
    """Return how many rows to ask for at once, so that even the largest ones fit into an answer."""
    size = 1024
    for field in description.fields:
        size += 12 * _number(field, "dim") + 2 * _number(field, "max_length")
    return max(1, min(1000, ANSWER_SIZE // size))


def _number(field: CollectionField, name: str) -> int:
    text = field.params.get(name, "")
    return int(text) if text.isdecimal() else 0
