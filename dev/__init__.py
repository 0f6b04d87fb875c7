"""Developer tools, run from the repository root: a real Airflow, the demo, the screenshots. Not packaged."""
