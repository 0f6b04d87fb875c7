"""Comparing restored collections with what they should be: a manifest, or the collections of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_provider_zbackup.zilliz.data_operations import CollectionAddress
from airflow_provider_zbackup.zilliz.errors import ZillizBadRequestError
from airflow_provider_zbackup.zilliz.flows.collections import (
    Key,
    Loader,
    Manifest,
    Name,
    Observation,
    list_names,
    observe,
    open_data_plane,
    read_database,
)
from airflow_provider_zbackup.zilliz.flows.steps import Flow, Pause
from airflow_provider_zbackup.zilliz.rows import RowFingerprint, fingerprint_whole_row
from airflow_provider_zbackup.zilliz.texts import format_table

#: So many rows of a collection that differ are named; the others are counted.
ROWS_NAMED = 20
MISSING, THERE = "missing", "there"


class Difference(NamedTuple):
    """
    Something that is not as it should be.

    :param what: such as ``rows`` or ``field price, type``
    """

    collection: str
    what: str
    expected: str
    found: str


class Pair(NamedTuple):
    """A collection as it should be, and where it was restored."""

    expected: Name
    restored: Name


class Scope(NamedTuple):
    """
    What to compare.

    :param pairs: the collections; ``None`` means all, each under its own name
    :param database: of all collections, only those of this database; ``None`` means all databases
    """

    pairs: Sequence[Pair] | None = None
    database: str | None = None

    def holds(self, name: Name) -> bool:
        """Tell whether a collection is one of all that are compared."""
        return self.database is None or name[0] == read_database(self.database)


#: Looks at a collection as it should be.
Expect = Callable[[Name], Flow[Observation]]


def verify_with_manifest(
    cluster_id: str, manifest: Manifest, scope: Scope, loader: Loader | None
) -> Flow[dict[str, Any]]:
    """
    Compare collections with a manifest; see :func:`_verify`.

    :param cluster_id: the cluster that holds what was restored
    """
    known = {facts.key: facts for facts in manifest.collections}

    def expect(name: Name) -> Flow[Observation]:
        if name not in known:
            raise ZillizBadRequestError(f"The manifest has no collection {_text(name)}.", unprocessed=True)
        yield from ()
        return Observation(known[name], {})

    address = yield from open_data_plane(cluster_id)
    return (yield from _verify(address, list(known), expect, scope, loader))


def verify_with_cluster(
    cluster_id: str, source_cluster_id: str, scope: Scope, loader: Loader | None, *, sample_rows: int
) -> Flow[dict[str, Any]]:
    """
    Compare collections with those of a cluster; see :func:`_verify`.

    :param cluster_id: the cluster that holds what was restored
    :param sample_rows: how many rows of each collection to compare
    """
    if cluster_id == source_cluster_id and all(pair.expected == pair.restored for pair in scope.pairs or ()):
        raise ZillizBadRequestError(
            f"Cluster {cluster_id} would be compared with itself. Give the new names of the collections, or "
            "another cluster.",
            unprocessed=True,
        )
    source = yield from open_data_plane(source_cluster_id)
    address = yield from open_data_plane(cluster_id)
    names = yield from list_names(source, scope.database)

    def expect(name: Name) -> Flow[Observation]:
        return (yield from observe(CollectionAddress(source, *name), sample_rows=sample_rows, loader=loader))

    return (yield from _verify(address, names, expect, scope, loader))


def _verify(
    address: str, expected: Sequence[Name], expect: Expect, scope: Scope, loader: Loader | None
) -> Flow[dict[str, Any]]:
    """
    Compare collections, and log what differs as a table.

    :param address: of the data plane of the cluster that holds what was restored
    :param expected: all collections that should be there
    :param loader: loads what is not loaded, to count its rows; after an error its caller releases that
    :return: as plain JSON: ``collections`` (how many were compared), ``rows`` (how many those have),
        ``sampled_rows`` (how many of these were compared), ``differences`` and ``not_compared``
    :raises ZillizBadRequestError: when there is nothing to compare
    """
    held = yield from list_names(address)
    differences: list[Difference] = []
    not_compared: list[dict[str, str]] = []
    rows = sampled = 0
    pairs = scope.pairs
    if pairs is None:
        pairs = [Pair(name, name) for name in expected if scope.holds(name)]
        unexpected = [name for name in held if scope.holds(name) and name not in expected]
        differences += [Difference(_text(name), "collection", MISSING, THERE) for name in unexpected]
    if not pairs and not differences:
        raise ZillizBadRequestError(
            "There are no collections to compare, so nothing is proved.", unprocessed=True
        )
    for pair in pairs:
        label = _text(pair.restored)
        wanted = yield from expect(pair.expected)
        if pair.restored not in held:
            differences.append(Difference(label, "collection", THERE, MISSING))
            continue
        found = yield from observe(
            CollectionAddress(address, *pair.restored),
            keys=[key for key, _ in wanted.facts.sample],
            loader=loader if wanted.facts.rows is not None else None,
        )
        seen = list(compare(label, wanted, found))
        notes = wanted.facts.not_compared
        if wanted.facts.rows is not None:
            notes = tuple(dict.fromkeys((*notes, *found.facts.not_compared)))
        differences += seen
        not_compared += [{"collection": label, "what": note} for note in notes]
        rows += found.facts.rows or 0
        sampled += len(found.rows)
        yield Pause(0, f"{label}: {_summary(found, seen)}")
        for note in notes:
            yield Pause(0, f"{label}: not compared: {note}.")
    if differences:
        for line in format_table(("COLLECTION", "WHAT", "EXPECTED", "FOUND"), differences):
            yield Pause(0, line)
    return {
        "collections": len(pairs),
        "rows": rows,
        "sampled_rows": sampled,
        "differences": [difference._asdict() for difference in differences],
        "not_compared": not_compared,
    }


def _summary(found: Observation, differences: Sequence[Difference]) -> str:
    verdict = f"differences: {len(differences)}" if differences else "nothing differs"
    if found.facts.rows is None:
        return f"{verdict}; rows were not counted."
    return f"{verdict}; {found.facts.rows:,} rows, {len(found.rows):,} of them compared."


def compare(label: str, expected: Observation, found: Observation) -> Iterator[Difference]:
    """
    Compare a collection with what it should be.

    :param label: the collection, for the differences
    """
    wanted, seen = expected.facts, found.facts
    for name, one, other in _unequal(wanted.fields, seen.fields):
        if one is None or other is None:
            yield Difference(label, f"field {name}", _presence(one), _presence(other))
            continue
        for attribute, before, after in _unequal(one, other):
            yield Difference(label, f"field {name}, {_words(attribute)}", _show(before), _show(after))
    for name, one, other in _unequal(wanted.structure, seen.structure):
        yield Difference(label, name, _show(one), _show(other))
    for name, one, other in _unequal(wanted.indexes, seen.indexes):
        yield Difference(label, f"index of {name}", _show_indexes(one), _show_indexes(other))
    if wanted.rows is not None and seen.rows is not None:
        if wanted.rows != seen.rows:
            yield Difference(label, "rows", f"{wanted.rows:,}", f"{seen.rows:,}")
        yield from _compare_rows(label, expected, found)


def _compare_rows(label: str, expected: Observation, found: Observation) -> Iterator[Difference]:
    differing = [
        difference
        for key, whole in expected.facts.sample
        for difference in _compare_row(label, key, whole, expected.rows.get(key), found.rows.get(key))
    ]
    yield from differing[:ROWS_NAMED]
    if len(differing) > ROWS_NAMED:
        yield Difference(label, f"{len(differing) - ROWS_NAMED} more rows or values", THERE, "differ")


def _compare_row(
    label: str, key: Key, whole: str, expected: RowFingerprint | None, found: RowFingerprint | None
) -> Iterator[Difference]:
    """
    Compare a row. Its values are not shown, since they may be private.

    :param whole: the fingerprint that the row should have
    :param expected: those of its fields, if known; a manifest does not have them
    """
    if found is None:
        yield Difference(label, f"row {key!r}", THERE, MISSING)
    elif fingerprint_whole_row(found) != whole:
        for field, one, other in _unequal(expected or {}, found if expected else {}):
            what = f"row {key!r}, field {field}"
            yield Difference(
                label, what, _presence(one), "other value" if one and other else _presence(other)
            )
        if not expected:
            yield Difference(label, f"row {key!r}", THERE, "other values")


def _unequal(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Return the names whose values differ, each with both values; ``None`` stands for no value."""
    for name in dict.fromkeys((*expected, *found)):
        one, other = expected.get(name), found.get(name)
        if one != other:
            yield name, one, other


def _presence(value: Any) -> str:
    return MISSING if value is None else THERE


def _show(value: Any) -> str:
    return "none" if value in (None, "") else str(value)


def _show_indexes(indexes: Sequence[Mapping[str, Any]] | None) -> str:
    """Return indexes in words, such as ``AUTOINDEX COSINE``."""
    if not indexes:
        return MISSING
    words = (
        f"{index['index_type']} {index['metric_type']} {dict(index['index_params']) or ''}".strip()
        for index in indexes
    )
    return ", ".join(" ".join(each.split()) for each in words)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _text(name: Name) -> str:
    database, collection = name
    return f"{database}.{collection}" if database else collection
