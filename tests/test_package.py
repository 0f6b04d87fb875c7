"""What the package says of itself, on PyPI and in Airflow's registry, is true."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import yaml

from airflow_provider_zbackup.get_provider_info import get_provider_info
from dev.matrix import cells
from tests.documents import ROOT, public_names

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
PYTHON = "Programming Language :: Python ::"
ADDRESS = PROJECT["urls"]["Source Code"]
REGISTRY = yaml.safe_load((ROOT / ".airflow-registry.yaml").read_text())


def shown_by_pypi(text: str) -> str:
    """Return the text of README.md as PyPI shows it, where it has no other file beside it."""
    for rule in PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    return text.replace("$HFPR_VERSION", PROJECT["version"])


def links(text: str) -> list[str]:
    return re.findall(r'(?:\]\(|(?:src|srcset|href)=")([^)"\s]+)', text)


def test_the_page_on_pypi_links_to_files_that_are_there() -> None:
    own = f"{ADDRESS}/blob/v{PROJECT['version']}/"
    raw = own.replace("github.com", "raw.githubusercontent.com").replace("/blob", "")
    shown = links(shown_by_pypi((ROOT / "README.md").read_text()))
    files = [link.partition(start)[2] for link in shown for start in (own, raw) if link.startswith(start)]
    assert [name for name in files if not (ROOT / name.partition("#")[0]).exists()] == []
    assert [name for name in files if name.endswith(".png")]
    assert [link for link in shown if not link.startswith(("https://", "#"))] == []


def test_pictures_and_links_of_each_kind_get_an_address() -> None:
    text = """![a](b.png) [c](d.md#e) [f](#g) [h](https://i.png) <img src="j.png"> <source srcset="k.svg">"""
    raw = "https://raw.githubusercontent.com" + ADDRESS.removeprefix("https://github.com")
    version = f"v{PROJECT['version']}"
    assert links(shown_by_pypi(text)) == [
        f"{raw}/{version}/b.png",
        f"{ADDRESS}/blob/{version}/d.md#e",
        "#g",
        "https://i.png",
        f"{raw}/{version}/j.png",
        f"{raw}/{version}/k.svg",
    ]


def test_the_changelog_begins_with_this_version_and_its_date() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert re.fullmatch(re.escape(PROJECT["version"]) + r", \d{4}-\d\d-\d\d", headings[0])


def test_the_registry_names_every_public_class_and_no_other() -> None:
    named: dict[str, list[str]] = {
        kind: [entry["module"] for entry in REGISTRY[kind]]
        for kind in ("hooks", "operators", "sensors", "other")
    }
    public: dict[str, Any] = public_names()
    paths = {f"{value.__module__}.{name}" for name, value in public.items()}
    assert {path for kind in ("hooks", "operators", "sensors") for path in named[kind]} == paths
    for kind, entries in named.items():
        for path in entries:
            module, _, name = path.rpartition(".")
            assert kind == "other" or f".{kind}." in module
            # The retry policy is only for the newest Airflow, which not each run of the tests has.
            assert f"class {name}" in (ROOT / (module.replace(".", "/") + ".py")).read_text()


def test_what_is_claimed_is_what_the_matrix_runs() -> None:
    claimed = re.findall(r"^\| ([\d.]+) \| ([\d.]+) \|", (ROOT / "docs/support.md").read_text(), re.M)
    assert sorted(claimed) == sorted(cells())
    named = {name.rpartition(" ")[2] for name in PROJECT["classifiers"] if name.startswith(PYTHON)}
    assert named == {"3", *(python for _, python in cells())}


def test_registry_and_provider_go_by_the_same_name() -> None:
    info = get_provider_info()
    assert REGISTRY["package-name"] == info["package-name"] == PROJECT["name"]
    assert REGISTRY["display-name"] == info["name"]
    assert (REGISTRY["source-url"], REGISTRY["docs-url"]) == (ADDRESS, PROJECT["urls"]["Documentation"])
