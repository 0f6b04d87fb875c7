"""Provider metadata. Airflow reads it inside ``import airflow``, so it imports nothing and cannot raise."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    asset_uris = [
        {
            "schemes": ["zilliz"],
            "handler": "airflow_provider_zbackup.assets.zilliz.sanitize_uri",
            "factory": "airflow_provider_zbackup.assets.zilliz.create_asset",
            "to_openlineage_converter": "airflow_provider_zbackup.assets.zilliz.convert_asset_to_openlineage",
        }
    ]
    return {
        "package-name": "airflow-provider-zbackup",
        "name": "Zilliz Cloud backup",
        "description": "Backs up clusters and collections of `Zilliz Cloud <https://zilliz.com/>`__.",
        "integrations": [
            {
                "integration-name": "Zilliz Cloud",
                "external-doc-url": "https://docs.zilliz.com/docs/create-snapshot",
                "tags": ["service"],
            }
        ],
        "hooks": [
            {"integration-name": "Zilliz Cloud", "python-modules": ["airflow_provider_zbackup.hooks.zilliz"]}
        ],
        "operators": [
            {
                "integration-name": "Zilliz Cloud",
                "python-modules": [
                    "airflow_provider_zbackup.operators.backup",
                    "airflow_provider_zbackup.operators.restore",
                    "airflow_provider_zbackup.operators.verify",
                    "airflow_provider_zbackup.operators.policy",
                    "airflow_provider_zbackup.operators.cluster",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": "Zilliz Cloud",
                "python-modules": [
                    "airflow_provider_zbackup.sensors.job",
                    "airflow_provider_zbackup.sensors.backup",
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": "Zilliz Cloud",
                "python-modules": [
                    "airflow_provider_zbackup.triggers.job",
                    "airflow_provider_zbackup.triggers.backup",
                    "airflow_provider_zbackup.triggers.cluster",
                    "airflow_provider_zbackup.triggers.events",
                ],
            }
        ],
        "asset-uris": asset_uris,
        # The name before Airflow 3.
        "dataset-uris": asset_uris,
        "extra-links": ["airflow_provider_zbackup.links.zilliz.ZillizConsoleLink"],
        "connection-types": [
            {
                "connection-type": "zilliz",
                "hook-name": "Zilliz Cloud",
                "hook-class-name": "airflow_provider_zbackup.hooks.zilliz.ZillizHook",
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema", "port"],
                    "relabeling": {"host": "Base URL", "password": "API key"},
                    "placeholders": {
                        "host": "https://api.cloud.zilliz.com (in China: https://api.cloud.zilliz.com.cn)",
                        "password": "of a project admin, or of a role with backup privileges",
                    },
                },
                "conn-fields": {
                    "project_id": {
                        "label": "Project id",
                        "description": "For links to the web console. Example: proj-20e13e974c7d659a83xxxx",
                        "schema": {"type": ["string", "null"]},
                    },
                    "organization_id": {
                        "label": "Organization id",
                        "description": "For links to the web console; part of its address. Example: org-xxxx",
                        "schema": {"type": ["string", "null"]},
                    },
                    "console_url": {
                        "label": "Console URL",
                        "description": "Address of the web console. Default: https://cloud.zilliz.com",
                        "schema": {"type": ["string", "null"]},
                    },
                    "timeout": {
                        "label": "Timeout",
                        "description": "Seconds to wait for an answer to one request. Default: 30",
                        "schema": {"type": ["number", "null"]},
                    },
                    "requests_per_second": {
                        "label": "Requests per second",
                        "description": "Limit for each process; the API allows about 20. Default: 10",
                        "schema": {"type": ["number", "null"]},
                    },
                    "conflict_codes": {
                        "label": "Conflict codes",
                        "description": "More error codes, separated by commas, that mean that another backup "
                        "is in the way. Needed only if this provider does not know them.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "allow_insecure_http": {
                        "label": "Allow insecure HTTP",
                        "description": "Send the API key over plain HTTP to a host other than this machine.",
                        "schema": {"type": ["boolean", "null"]},
                    },
                    "ca_bundle": {
                        "label": "CA bundle",
                        "description": "Path of a PEM file with the CA certificates to trust, on workers and "
                        "triggerers. Default: SSL_CERT_FILE or REQUESTS_CA_BUNDLE, else httpx's own.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "freshness_target": {
                        "label": "Freshness target",
                        "description": "Hours: a cluster whose newest backup is older is red on the page "
                        "Browse, Zilliz backups. Default: 24",
                        "schema": {"type": ["number", "null"]},
                    },
                    "price_per_gb_month": {
                        "label": "Price per GB and month",
                        "description": "For the estimated cost there, in your currency. Example: 0.025",
                        "schema": {"type": ["number", "null"]},
                    },
                },
            }
        ],
    }
