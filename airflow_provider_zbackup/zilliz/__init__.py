"""Zilliz Cloud itself: what its REST API says and how to deal with it. Knows nothing of Airflow."""
