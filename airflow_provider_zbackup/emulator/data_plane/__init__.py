"""
What stands behind the clusters: the collections' fields, indexes and rows.

* ``collection_data.py``: what the emulator has to know of a collection's data, and a form of it in memory
* ``sample.py``: the data at the start
"""
