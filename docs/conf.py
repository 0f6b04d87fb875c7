"""
Sphinx's settings, for ``make docs``.

The page of an operator or sensor is made from its docstring: the parameters that it shares with others come
from the docstring of the base class to which it refers, types and defaults from the signatures, and its
example from from-curl-to-dag.md, where the tests run it.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.documents import blocks, public_names  # noqa: E402

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

PACKAGE = "airflow_provider_zbackup"

project = _PROJECT["name"]
author = copyright = _PROJECT["authors"][0]["name"]
version = release = _PROJECT["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx_copybutton"]
exclude_patterns = ["build"]
templates_path = ["_templates"]

# Each link must lead somewhere. Types in signatures may be internal, and what other projects document, only
# they can check.
_PUBLIC = rf"{PACKAGE}\.(hooks\.zilliz|operators|sensors|zilliz\.models|zilliz\.errors)\.(\w+\.)*[A-Z]\w"
nitpicky = True
nitpick_ignore_regex = [("py:.*", rf"(?!{_PUBLIC}).*")]
#: Labels in Airflow's own documentation that docstrings refer to.
AIRFLOW_LABELS = {
    "howto/connection": "https://airflow.apache.org/docs/apache-airflow/stable/howto/connection.html"
}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_default_options = {"member-order": "bysource"}
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["page.css"]
html_theme_options = {
    "source_repository": _PROJECT["urls"]["Source Code"],
    "source_branch": "main",
    "source_directory": "docs/",
}

#: What becomes a link wherever a page names it.
NAMES = {
    **public_names(),
    "backup_before": import_module(f"{PACKAGE}.task_groups").backup_before,
}
_FIELD = re.compile(r":(param|return|raises)(?: (\w+))?: ?(.*)")
_SEE = re.compile(r"see :class:`~?([\w.]+)`")


def split_docstring(lines: list[str]) -> tuple[list[str], dict[str, list[str]], list[str]]:
    """Return the text of a docstring, its parameters with their lines, and its other fields."""
    text: list[str] = []
    parameters: dict[str, list[str]] = {}
    others: list[str] = []
    current = text
    for line in lines:
        if field := _FIELD.match(line):
            kind, name, rest = field.groups()
            current = parameters.setdefault(name, []) if kind == "param" else others
            current.append(rest if kind == "param" else line)
        else:
            current.append(line.strip() if current is not text and current is not others else line)
    return text, parameters, others


def with_shared(
    parameters: dict[str, list[str]], others: list[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """Put the parameters and errors of a base class where a docstring refers to it."""
    complete: dict[str, list[str]] = {}
    for name, lines in parameters.items():
        if see := _SEE.match(lines[0]):
            module, _, base = see[1].rpartition(".")
            docstring = inspect.getdoc(getattr(import_module(module), base)) or ""
            _, shared, fields = split_docstring(docstring.splitlines())
            for other, text in shared.items():
                complete.setdefault(other, text)
            if not any(line.startswith(":raises") for line in others):
                others = [*others, *fields]
        else:
            complete[name] = lines
    return complete, others


def signature_of(cls: type) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class and of its bases in this package."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if base.__module__.startswith(PACKAGE) and "__init__" in vars(base):
            for name, parameter in inspect.signature(base.__init__).parameters.items():
                found.setdefault(name, parameter)
    return found


def described(name: str, lines: list[str], parameter: inspect.Parameter) -> list[str]:
    """Return the fields for a parameter: its text, its type, and its default unless the text tells that."""
    text = " ".join(line for line in lines if line)
    default, kind = parameter.default, str(parameter.annotation)
    if default is inspect.Parameter.empty:
        kind += ", required"
    elif "default" not in text and default is not None and type(default) is not object:
        text += f". Default: ``{default!r}``"
    return [f":param {name}: {text}", f":type {name}: {kind}"]


def complete_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Make the docstring of a public class whole."""
    if what != "class" or obj not in NAMES.values() or name.endswith("Hook"):
        return
    text, own, others = split_docstring(lines)
    parameters, others = with_shared(own, [line for line in others if line])
    signature = signature_of(obj)
    fields = [
        line
        for parameter, about in parameters.items()
        for line in described(parameter, about, signature[parameter])
    ]
    lines[:] = [*text, *fields, *others, "", *example_of(obj.__name__)]


def example_of(name: str) -> list[str]:
    """Return the first example of a class in the page that the tests run."""
    for block in blocks("docs/from-curl-to-dag.md", "python")[1:]:
        if f"{name}(" in block.code:
            code = [f"   {line}" for line in block.code.splitlines()]
            return [".. rubric:: Example", "", ".. code-block:: python", "", *code, ""]
    return []


def leave_out_signature(app: Sphinx, what: str, name: str, obj: Any, *_: Any) -> tuple[str, str] | None:
    """The fields tell more than the signature of a class, which lacks what it shares."""
    return ("", "") if what == "class" and obj in NAMES.values() else None


def link_names(app: Sphinx, doctree: nodes.document) -> None:
    """Make a link of each public name in the text."""
    for literal in list(doctree.findall(nodes.literal)):
        value = NAMES.get(literal.astext())
        parents = (nodes.reference, nodes.title, pending_xref)
        if value is None or isinstance(literal.parent, parents):
            continue
        link = pending_xref(
            "",
            refdomain="py",
            reftype="class",
            refexplicit=True,
            refwarn=True,
            reftarget=f"{value.__module__}.{value.__name__}",
            refdoc=app.env.docname,
        )
        literal.replace_self(link)
        link += literal


def resolve_airflow_label(app: Sphinx, env: Any, node: Any, content: Any) -> Any:
    """Lead a label of Airflow's documentation to it."""
    address = AIRFLOW_LABELS.get(node["reftarget"])
    return nodes.reference("", "", content, refuri=address) if address else None


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", complete_docstring)
    app.connect("autodoc-process-signature", leave_out_signature)
    app.connect("doctree-read", link_names)
    app.connect("missing-reference", resolve_airflow_label)
