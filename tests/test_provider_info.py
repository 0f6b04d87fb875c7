"""What the package tells Airflow about itself: an error here would break ``import airflow`` itself."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterator
from importlib import import_module, resources
from importlib.metadata import distribution, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager
from pytest_mock import MockerFixture

import airflow_provider_zbackup
from airflow_provider_zbackup import get_provider_info as provider_info_module
from airflow_provider_zbackup.get_provider_info import get_provider_info
from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.links.zilliz import ZillizConsoleLink
from airflow_provider_zbackup.version_compat import AIRFLOW_VERSION

INFO = get_provider_info()
(CONNECTION_TYPE,) = INFO["connection-types"]
PACKAGE = Path(airflow_provider_zbackup.__file__).parent


def modules(kind: str) -> list[str]:
    return [module for entry in INFO[kind] for module in entry["python-modules"]]


def test_it_is_valid_against_the_schema_of_this_airflow() -> None:
    schema = json.loads((resources.files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)


def test_each_call_gives_a_fresh_dictionary_so_that_nobody_can_spoil_it() -> None:
    get_provider_info().clear()
    assert get_provider_info() == INFO


def test_its_module_imports_next_to_nothing_and_only_returns() -> None:
    tree = ast.parse(Path(str(provider_info_module.__file__)).read_text())
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported == {"__future__", "typing"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_the_package_itself_imports_nothing() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def test_it_goes_by_the_name_of_the_distribution_and_is_found_by_its_entry_point() -> None:
    installed = distribution(INFO["package-name"])
    assert installed.name == INFO["package-name"]
    (entry_point,) = entry_points(group="apache_airflow_provider").select(
        module="airflow_provider_zbackup.get_provider_info"
    )
    assert entry_point.load() is get_provider_info
    assert entry_point.dist
    assert entry_point.dist.name == INFO["package-name"]


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_every_module_of_the_package_that_users_import_is_named(kind: str) -> None:
    present = {
        f"airflow_provider_zbackup.{kind}.{path.stem}"
        for path in (PACKAGE / kind).glob("*.py")
        if path.stem
        not in ("__init__", "base", "connection", "guard", "lookup", "shared_client", "shared_polls")
    }
    assert set(modules(kind)) == present
    for module in modules(kind):
        assert import_module(module).__doc__


def test_every_class_that_is_named_exists() -> None:
    for path in [CONNECTION_TYPE["hook-class-name"], *INFO["extra-links"]]:
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(import_module(module), name), type)


def test_every_integration_that_is_used_is_declared() -> None:
    declared = {integration["integration-name"] for integration in INFO["integrations"]}
    kinds = ("hooks", "operators", "sensors", "triggers")
    assert {entry["integration-name"] for kind in kinds for entry in INFO[kind]} == declared


def test_the_hook_has_what_airflow_needs_of_it() -> None:
    assert ZillizHook.conn_type == CONNECTION_TYPE["connection-type"] == "zilliz"
    assert ZillizHook.hook_name == CONNECTION_TYPE["hook-name"]
    assert ZillizHook.conn_name_attr == "zilliz_conn_id"
    assert ZillizHook.default_conn_name == "zilliz_default"
    assert ZillizHook().zilliz_conn_id == "zilliz_default"
    assert ZillizHook(**{ZillizHook.conn_name_attr: "other"}).zilliz_conn_id == "other"


def test_every_extra_field_that_is_read_is_in_the_form_and_may_be_left_empty() -> None:
    fields = CONNECTION_TYPE["conn-fields"]
    assert set(fields) == {
        "project_id",
        "organization_id",
        "console_url",
        "timeout",
        "requests_per_second",
        "conflict_codes",
        "allow_insecure_http",
        "ca_bundle",
        "freshness_target",
        "price_per_gb_month",
    }
    for field in fields.values():
        assert field["label"]
        assert field["description"]
        assert "null" in field["schema"]["type"]


@pytest.fixture
def manager(mocker: MockerFixture) -> Iterator[Any]:
    """A providers manager that has read nothing yet; it warns of nothing that is ours."""
    log = mocker.patch("airflow.providers_manager.log", autospec=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # Past its metaclass, which would give the one that others have used.
        yield type.__call__(ProvidersManager)
    said = [str(call) for level in (log.warning, log.error, log.exception) for call in level.mock_calls]
    said += [str(warning.message) for warning in caught]
    assert not [text for text in said if "zbackup" in text or "zilliz" in text.lower()]


def test_airflow_lists_the_provider_its_connection_type_and_its_link(manager: Any) -> None:
    assert manager.providers[INFO["package-name"]].version == distribution(INFO["package-name"]).version
    hook = manager.hooks["zilliz"]
    assert hook.hook_class_name == CONNECTION_TYPE["hook-class-name"]
    assert hook.connection_id_attribute_name == ZillizHook.conn_name_attr
    assert hook.package_name == INFO["package-name"]
    assert hook.hook_name == ZillizHook.hook_name
    assert hook.connection_testable
    link = f"{ZillizConsoleLink.__module__}.{ZillizConsoleLink.__qualname__}"
    assert link in manager.extra_links_class_names
    listed = {trigger.trigger_class_name for trigger in manager.trigger}
    assert listed.issuperset(modules("triggers"))


@pytest.mark.skipif(
    AIRFLOW_VERSION.release[:2] in ((3, 0), (3, 1)) and not find_spec("flask_appbuilder"),
    reason="Airflow 3.0 and 3.1 test forms only with the provider fab",
)
def test_airflow_builds_the_form(manager: Any) -> None:
    shown = {name.rpartition("__")[2] for name in manager.connection_form_widgets if "zilliz" in name}
    assert shown == set(CONNECTION_TYPE["conn-fields"])
    assert manager.field_behaviours["zilliz"] == ZillizHook.get_ui_field_behaviour()


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
