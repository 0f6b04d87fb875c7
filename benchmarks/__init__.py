"""Measurements: ratios within one run, never absolute times compared between runs."""
