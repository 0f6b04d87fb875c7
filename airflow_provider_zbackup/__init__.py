"""Apache Airflow provider that backs up Zilliz Cloud clusters and collections."""
