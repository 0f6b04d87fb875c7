"""
Answers of a cluster's data plane, as pydantic models.

Like those of the API in ``models.py`` they are read leniently. Only what is compared must be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from airflow_provider_zbackup.zilliz.answers import Answer


def _as_mapping(value: Any) -> Any:
    """Return parameters as a mapping: the API lists them as objects with ``key`` and ``value``."""
    if isinstance(value, list):
        return {
            # One with an empty value may lack it.
            str(item["key"]): item.get("value", "")
            for item in value
            if isinstance(item, dict) and "key" in item
        }
    return value


#: Values are texts, but some servers send numbers.
Parameters = Annotated[Mapping[str, str], BeforeValidator(_as_mapping)]


class CollectionField(Answer):
    """A field of a collection."""

    name: str
    type: str = ""
    primary_key: bool = False
    partition_key: bool = False
    clustering_key: bool = False
    auto_id: bool = False
    nullable: bool = False
    is_function_output: bool = False
    element_type: str = ""
    params: Parameters = Field(default_factory=dict)
    default_value: Any = None


class CollectionDescription(Answer):
    """A collection: https://docs.zilliz.com/reference/restful/describe-collection-v2"""

    fields: tuple[CollectionField, ...]
    enable_dynamic_field: bool = False
    partitions_num: int | None = None
    properties: Parameters = Field(default_factory=dict)
    functions: Any = None
    struct_fields: Any = None

    @property
    def key(self) -> CollectionField | None:
        """The field that is the primary key."""
        return next((field for field in self.fields if field.primary_key), None)


class LoadState(Answer):
    """
    Whether a collection is loaded:
    https://docs.zilliz.com/reference/restful/get-collection-load-state-v2

    It must be read: what seems not to be loaded is loaded and released again.
    """

    load_state: Literal["LoadStateNotLoad", "LoadStateLoading", "LoadStateLoaded"]
    load_progress: int | None = None

    @property
    def is_loaded(self) -> bool:
        return self.load_state == "LoadStateLoaded"

    @property
    def is_loading(self) -> bool:
        return self.load_state == "LoadStateLoading"


class IndexDescription(Answer):
    """An index: https://docs.zilliz.com/reference/restful/describe-index-v2"""

    index_name: str = ""
    field_name: str
    index_type: str = ""
    metric_type: str = ""
    index_params: Parameters = Field(default_factory=dict)


class RowCount(Answer):
    """The number of rows of a collection."""

    rows: int

    @model_validator(mode="before")
    @classmethod
    def _read_query(cls, data: Any) -> Any:
        """Accept the one row of a query for ``count(*)``."""
        match data:
            case [{"count(*)": count}]:
                return {"rows": count}
        return data


class Done(Answer):
    """An answer that says nothing but that the call was accepted."""
