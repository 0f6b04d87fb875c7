"""What a task did with data, as OpenLineage says it. Import it only where OpenLineage's provider is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow.providers.common.compat.openlineage.facet import (
    ExternalQueryRunFacet,
    InputDataset,
    LifecycleStateChange,
    LifecycleStateChangeDatasetFacet,
    OutputDataset,
    OutputStatisticsOutputDatasetFacet,
)
from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.generated.dataset_type_dataset import DatasetTypeDatasetFacet
from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet

from airflow_provider_zbackup.assets.zilliz import SCHEME, make_uri, name_for_openlineage
from airflow_provider_zbackup.utils.assets import Act

if TYPE_CHECKING:
    from airflow_provider_zbackup.utils.assets import Effect

#: Facets, by the name of their kind.
Facets: TypeAlias = dict[str, Any]
#: Namespace and name.
Name: TypeAlias = tuple[str, str]
#: Facets of each dataset.
Datasets: TypeAlias = dict[Name, Facets]


def lineage_of(effects: Iterable[Effect], *, is_done: bool) -> OperatorLineage[Any, Any]:
    """
    Return the datasets that a task reads and makes.

    ==========  ==============================  ==============================
    the task    reads                           makes
    ==========  ==============================  ==============================
    backs up    the cluster or its collections  the backup
    restores    the backup                      the cluster or its collections
    deletes                                     the backup, which is dropped
    ==========  ==============================  ==============================

    A backup is the dataset ``backups.<backup_id>`` of the cluster that it is of. Its id is the version of the
    data in it.

    :param is_done: whether the work is done; if not, only what the task reads is known
    """
    # By name, since several jobs of one task may read the same backup.
    inputs: dict[Name, InputDataset] = {}
    outputs: dict[Name, OutputDataset] = {}
    run_facets = {}
    for effect in effects:
        facts = effect.facts
        backup_id, job_id, size = facts["backup_id"], facts.get("job_id"), facts.get("size")
        uri = make_uri(effect.source, "backups", str(backup_id))
        backup: Datasets = {name_for_openlineage(uri): {"datasetType": DatasetTypeDatasetFacet("BACKUP")}}
        version = {"version": DatasetVersionDatasetFacet(backup_id)} if backup_id else {}
        data: Datasets = {name_for_openlineage(uri): version for uri in effect.uris}
        read, made, change = {
            Act.BACK_UP: (data, backup, LifecycleStateChange.CREATE),
            Act.RESTORE: (backup, data, LifecycleStateChange.CREATE),
            Act.DELETE: ({}, backup if facts.get("deleted") else {}, LifecycleStateChange.DROP),
        }[effect.act]
        inputs |= {name: InputDataset(*name, facets=facets) for name, facets in read.items()}
        if is_done:
            changed = {"lifecycleStateChange": LifecycleStateChangeDatasetFacet(change)}
            statistics: Facets = {}
            if size:
                statistics["outputStatistics"] = OutputStatisticsOutputDatasetFacet(size=size)
            outputs |= {
                name: OutputDataset(*name, facets=facets | changed, outputFacets=statistics)
                for name, facets in made.items()
            }
        if job_id:
            run_facets["externalQuery"] = ExternalQueryRunFacet(job_id, source=f"{SCHEME}://{effect.source}")
    return OperatorLineage(list(inputs.values()), list(outputs.values()), run_facets)
