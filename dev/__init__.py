"""What developers run from the repository root: a real Airflow, the demo, the screenshots. Never packaged."""
