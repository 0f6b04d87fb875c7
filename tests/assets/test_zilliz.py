"""The asset scheme ``zilliz``, as Airflow uses it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import Asset
from airflow.providers_manager import ProvidersManager

from airflow_provider_zbackup.assets.zilliz import (
    create_asset,
    make_uri,
    name_for_openlineage,
    sanitize_uri,
)
from airflow_provider_zbackup.get_provider_info import get_provider_info
from airflow_provider_zbackup.version_compat import AIRFLOW_VERSION

IS_AIRFLOW_2 = AIRFLOW_VERSION.major < 3


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("zilliz://in01-1", "zilliz://in01-1"),
        ("ZILLIZ://in01-1/", "zilliz://in01-1"),
        ("zilliz://in01-1/sales/orders", "zilliz://in01-1/sales/orders"),
        ("zilliz://in01-1/sales/orders/", "zilliz://in01-1/sales/orders"),
        ("zilliz://in01-1//orders", "zilliz://in01-1/default/orders"),
    ],
)
def test_airflow_brings_a_uri_into_one_form(written: str, kept: str) -> None:
    assert Asset(uri=written).uri == kept
    assert Asset(uri=kept).uri == kept


@pytest.mark.parametrize(
    "uri", ["zilliz:///sales/orders", "zilliz://in01-1/orders", "zilliz://in01-1/a/b/c", "zilliz://"]
)
def test_a_uri_that_names_neither_a_cluster_nor_a_collection_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="<cluster>/<database>/<collection>"):
        sanitize_uri(urlsplit(uri))
    with pytest.raises(
        UserWarning if IS_AIRFLOW_2 else ValueError, match="<cluster>/<database>/<collection>"
    ):
        Asset(uri=uri)


@pytest.mark.parametrize(
    ("arguments", "uri"),
    [
        ({}, "zilliz://in01-1"),
        ({"collection": "orders"}, "zilliz://in01-1/default/orders"),
        ({"database": "sales", "collection": "orders"}, "zilliz://in01-1/sales/orders"),
        ({"database": "a/b", "collection": "ö#?"}, "zilliz://in01-1/a%2Fb/%C3%B6%23%3F"),
    ],
)
def test_the_factory_makes_uris_that_airflow_leaves_alone(arguments: dict[str, str], uri: str) -> None:
    assert make_uri("in01-1", **arguments) == uri
    asset = create_asset(cluster_id="in01-1", **arguments, extra={"owner": "search"})
    assert (asset.uri, asset.extra) == (uri, {"owner": "search"})


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("zilliz://in01-1", "/"),
        ("zilliz://in01-1/sales/orders", "sales.orders"),
        ("zilliz://in01-1/default/%C3%B6", "default.ö"),
    ],
)
def test_the_names_for_openlineage(uri: str, name: str) -> None:
    assert name_for_openlineage(uri) == ("zilliz://in01-1", name)


@pytest.mark.filterwarnings("ignore:ProvidersManager.asset_")
def test_airflow_knows_the_scheme() -> None:
    manager: Any = type.__call__(ProvidersManager)
    kind = "dataset" if IS_AIRFLOW_2 else "asset"
    (entry,) = get_provider_info()[f"{kind}-uris"]
    for registry, key in {
        f"{kind}_uri_handlers": "handler",
        f"{kind}_factories": "factory",
        f"{kind}_to_openlineage_converters": "to_openlineage_converter",
    }.items():
        module, _, name = entry[key].rpartition(".")
        assert getattr(manager, registry)["zilliz"] is getattr(import_module(module), name)


def test_its_module_is_light() -> None:
    code = (
        "import sys; from airflow.providers.common.compat.sdk import Asset; before = set(sys.modules); "
        "import airflow_provider_zbackup.assets.zilliz; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {
        "airflow_provider_zbackup",
        "airflow_provider_zbackup.assets",
        "airflow_provider_zbackup.assets.zilliz",
    }
    assert set(done.stdout.split()) <= ours
