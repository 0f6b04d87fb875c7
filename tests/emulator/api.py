"""The API of the emulator as a client sees it."""

from __future__ import annotations

from typing import Any

import httpx


class Api:
    """Calls operations with a key, and looks at the envelope of each answer."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        response = self.client.request(method, "/v2" + path, **arguments)
        assert response.status_code == 200, response.text
        assert response.headers["requestid"]
        answer: dict[str, Any] = response.json()
        assert set(answer) == ({"code", "data"} if answer["code"] == 0 else {"code", "message"})
        return answer

    def data(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self.call(method, path, **arguments)
        assert answer["code"] == 0, answer
        return answer["data"]

    def error(self, method: str, path: str, **arguments: Any) -> tuple[int, str]:
        answer = self.call(method, path, **arguments)
        assert answer["code"] != 0, answer
        return answer["code"], answer["message"]

    def create(self, cluster_id: str, **body: Any) -> dict[str, str]:
        body = {"backupType": "CLUSTER", **body}
        created: dict[str, str] = self.data("POST", f"/clusters/{cluster_id}/backups/create", json=body)
        return created

    def job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.data("GET", f"/jobs/{job_id}")
        return job

    def listed(self, **query: Any) -> list[dict[str, Any]]:
        backups: list[dict[str, Any]] = self.data("GET", "/backups", params={"pageSize": 100, **query})[
            "backups"
        ]
        return backups
