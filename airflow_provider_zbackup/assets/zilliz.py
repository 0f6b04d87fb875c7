"""
The asset scheme ``zilliz``: a cluster, or one collection of it.

==============================================  ===========================================================
``zilliz://<cluster>``                          a whole cluster
``zilliz://<cluster>/<database>/<collection>``  a collection; the default database is called ``default``
==============================================  ===========================================================

Airflow imports this module at the first such URI, so it imports next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from airflow.providers.common.compat.sdk import Asset

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset as OpenLineageDataset

SCHEME = "zilliz"
DEFAULT_DATABASE = "default"


def make_uri(cluster_id: str, database: str | None = None, collection: str | None = None) -> str:
    """
    Return the URI of a cluster, or of one of its collections.

    :param cluster_id: id of the cluster
    :param database: database of the collection; ``None`` means the default database
    :param collection: name of the collection; ``None`` means the whole cluster
    """
    uri = f"{SCHEME}://{quote(cluster_id, safe='')}"
    if collection is None:
        return uri
    return f"{uri}/{quote(database or DEFAULT_DATABASE, safe='')}/{quote(collection, safe='')}"


def create_asset(
    *, cluster_id: str, database: str | None = None, collection: str | None = None, extra: Any = None
) -> Asset:
    """Return the asset of a cluster, or of one of its collections; see :func:`make_uri`."""
    return Asset(uri=make_uri(cluster_id, database, collection), extra=extra)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Check a URI, and bring it into one form.

    :raises ValueError: when it names neither a cluster nor a collection
    """
    match uri.path.split("/")[1:]:
        case [] | [""] if uri.netloc:
            return uri._replace(path="")
        case [database, collection] if uri.netloc and collection:
            return uri._replace(path=f"/{database or DEFAULT_DATABASE}/{collection}")
    raise ValueError(
        f"URI format {SCHEME}:// must be {SCHEME}://<cluster> or {SCHEME}://<cluster>/<database>/<collection>"
    )


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> OpenLineageDataset:
    """Return the OpenLineage dataset of an asset. A whole cluster is called ``/``, as a whole bucket is."""
    from airflow.providers.common.compat.openlineage.facet import Dataset as OpenLineageDataset

    namespace, name = name_for_openlineage(asset.uri)
    return OpenLineageDataset(namespace=namespace, name=name)


def name_for_openlineage(uri: str) -> tuple[str, str]:
    """Return the namespace and the name that OpenLineage has for the asset with a URI."""
    parsed = urlsplit(uri)
    names = [unquote(name) for name in parsed.path.split("/") if name]
    return f"{SCHEME}://{parsed.netloc}", ".".join(names) or "/"
