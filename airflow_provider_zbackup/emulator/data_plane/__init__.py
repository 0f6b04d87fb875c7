"""
What stands behind the clusters: the collections' fields, indexes and rows.

* ``collection_data.py``: what the emulator has to know of a collection's data, and a form of it in memory
* ``sample.py``: the data at the start
* ``milvus.py``: real data, on demand. Each cluster has an ``engine.py``, a Milvus Lite, whose collections are
  ``live_data.py`` in ``files.py``. ``ports.py`` leads to it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_zbackup.emulator.data_plane.milvus import MilvusData


def open_data(host: str = "127.0.0.1") -> MilvusData:
    """
    Return what gives each Dedicated cluster a Milvus Lite, until its context ends.

    :param host: where the clusters listen.
    :raises ModuleNotFoundError: without the extra ``emulator-data``.
    """
    try:
        from airflow_provider_zbackup.emulator.data_plane.milvus import MilvusData
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Real data need more packages ({error.name} is missing): "
            "pip install 'airflow-provider-zbackup[emulator-data]'"
        ) from error
    return MilvusData(host)
