"""The state at the start. Its ids never change, so that examples and tests can name them."""

from __future__ import annotations

from airflow_provider_zbackup.emulator.data_plane import sample
from airflow_provider_zbackup.emulator.formats import new_cluster_id, parse_time
from airflow_provider_zbackup.emulator.records import Cluster, Collection, Project, StorageIntegration

API_KEY = "emulator-api-key"
ORGANIZATION_ID = "org-xkmqbwavtdzhnrlcoepsyf"
PROJECT_ID = "proj-b44a39b0c51cf21791a841"
DEDICATED_CLUSTER_ID = "in01-31a6b840e50b72d"
SECOND_DEDICATED_CLUSTER_ID = "in01-9c04e7d2f6a81b5"
SERVERLESS_CLUSTER_ID = "in05-7e1f40b93c2d8a6"
FREE_CLUSTER_ID = "in03-52d9ac81e0f7b34"
STORAGE_INTEGRATION_ID = "integ-4c8e2a97b16d0f53e7"

_CREATED = parse_time("2024-07-01T08:00:00Z")


def projects() -> list[Project]:
    """Return the projects at the start."""
    return [Project(PROJECT_ID, "Default Project", _CREATED)]


def clusters() -> list[Cluster]:
    """Return the clusters at the start."""
    return [
        Cluster(
            DEDICATED_CLUSTER_ID,
            "Dedicated-01",
            PROJECT_ID,
            _CREATED,
            databases={
                "": [
                    Collection(
                        "medium_articles", "Sample collection", "LOADED", 52_428_800, sample.articles()
                    ),
                    Collection("quick_setup", "", "UNLOADED", 1_048_576, sample.quick_setup()),
                ],
                "sales": [
                    Collection("orders", "Orders of all years", "LOADED", 734_003_200, sample.orders()),
                    Collection("customers", "", "LOADED", 10_485_760, sample.customers()),
                ],
            },
        ),
        Cluster(
            SECOND_DEDICATED_CLUSTER_ID,
            "Dedicated-02",
            PROJECT_ID,
            _CREATED,
            cu_size=2,
            databases={"": [Collection("products", "", "LOADED", 209_715_200, sample.products())]},
        ),
        Cluster(
            SERVERLESS_CLUSTER_ID,
            "Serverless-01",
            PROJECT_ID,
            _CREATED,
            plan="Serverless",
            deployment_option="Serverless",
            cu_type="",
            cu_size=0,
        ),
        Cluster(
            FREE_CLUSTER_ID,
            "Free-01",
            PROJECT_ID,
            _CREATED,
            plan="Free",
            deployment_option="Free",
            cu_type="",
            cu_size=0,
        ),
    ]


def fleet(count: int, created: float) -> list[Cluster]:
    """Return many Dedicated clusters, each with three collections."""
    names = ("documents", "images", "users")
    return [
        Cluster(
            new_cluster_id(),
            f"Fleet-{number:03}",
            PROJECT_ID,
            created,
            databases={"": [Collection(name) for name in names]},
        )
        for number in range(1, count + 1)
    ]


def storage_integrations() -> list[StorageIntegration]:
    """Return the storage integrations at the start."""
    return [StorageIntegration(STORAGE_INTEGRATION_ID, "backup-exports", PROJECT_ID)]


CLOUDS = {
    "aws": "Amazon Web Services",
    "gcp": "Google Cloud Platform",
    "azure": "Microsoft Azure",
}

REGIONS = {
    "aws": [
        "aws-ap-northeast-1",
        "aws-us-west-2",
        "aws-us-east-2",
        "aws-us-east-1",
        "aws-ap-southeast-1",
        "aws-eu-central-1",
    ],
    "gcp": ["gcp-europe-west3", "gcp-us-central1", "gcp-us-east4", "gcp-us-west1", "gcp-asia-southeast1"],
    "azure": ["az-germanywestcentral", "az-centralus", "az-eastus"],
}


def cloud_of(region_id: str) -> str | None:
    """Return the cloud of a region such as ``aws-us-west-2``; None for an unknown region."""
    return next((cloud for cloud, regions in REGIONS.items() if region_id in regions), None)
