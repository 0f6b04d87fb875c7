"""Scenarios with real Airflow processes, which are killed, stopped and restarted (``make test-e2e``)."""
