"""The errors of the API: https://docs.zilliz.com/reference/restful/error-codes-v2"""

from __future__ import annotations

DOCUMENTED_MESSAGES = {
    96000: "Invalid CloudId. Please use the ListCloudProviders API to obtain a list of supported cloudIds.",
    96001: "Invalid RegionId. Please use the ListCloudRegions API to obtain a list of supported regionIds.",
    96002: "Invalid cuSize. The parameter value should be positive.",
    96005: "Invalid projectId. The projectId should be like proj-xxxxxxxx. "
    "Please use the ListProjects API to obtain your scoped projects.",
    96007: "Invalid ISO 8601 timestamp format in UTC.",
    96008: "The parameter value for pageSize should be between 1 and 100.",
    96009: "The parameter currentPage should have a value between 1 and the maximum value of Int.",
    96010: "Invalid clusterName. Cluster names can only contain alphanumeric letters and hyphens.",
    96018: "Cluster not found. Please use the ListClusters API to obtain your scoped clusters.",
    96021: "Free cluster does not support this operation.",
    96022: "Serverless cluster does not support this operation.",
    96025: "Empty clusterId. Please specify a clusterId.",
    96026: "Job not found. Please check your request parameter.",
    96028: "Feature only supported for enterprise plan clusters.",
    96029: "Invalid backupType.",
    96030: "Invalid backup creationMethod.",
    96031: "Invalid backup restore policy. The value of 'collectionStatus' should be KEEP or RELEASE.",
    96032: "Invalid backup policy frequency.",
    96033: "Invalid backup policy startTime.",
    96034: "Invalid auto backup retentionDays. The value should be between 1 and 30.",
    96035: "Invalid time range. Please check start and end time parameters.",
    96036: "Invalid clusterId.",
    96037: "Invalid targetCollectionStatus. The value should be LOADED or UNLOADED.",
    96038: "Failed to create backup. {}",
    96039: "Failed to restore collection backup. {}",
    96040: "Failed to restore cluster backup. {}",
}

CREATE_FAILED = 96038
RESTORE_COLLECTION_FAILED = 96039
RESTORE_CLUSTER_FAILED = 96040
# Not documented. The test data of official clients has them, recorded from the real service.
API_KEY_ILLEGAL = 21119
CLUSTER_NAME_TAKEN = 40013
# For these errors no code is known. The emulator takes the HTTP status with the same meaning.
UNDOCUMENTED_BAD_REQUEST = 400
UNDOCUMENTED_NOT_FOUND = 404


class ApiError(Exception):
    """
    An operation failed. The answer has a code other than 0.

    :param http_status: the real service answers HTTP 200 even to most errors.
    """

    def __init__(self, code: int, message: str, http_status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status


def documented_error(code: int, detail: str = "") -> ApiError:
    """
    Return the error for a documented code.

    :param detail: what replaces the ``{}`` in the message, where there is one.
    """
    return ApiError(code, DOCUMENTED_MESSAGES[code].format(detail))


def bad_request(message: str) -> ApiError:
    """Return the error for a wrong field without a documented code."""
    return ApiError(UNDOCUMENTED_BAD_REQUEST, message)


def not_found(message: str) -> ApiError:
    """Return the error for a missing backup or storage integration, which has no documented code."""
    return ApiError(UNDOCUMENTED_NOT_FOUND, message)
