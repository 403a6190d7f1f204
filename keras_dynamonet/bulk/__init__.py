"""Bulk inference: from a list of any number of videos to a folder of Parquet files."""

ENGINES = ("local", "ray")
"""One process, or several of them on one machine or a cluster."""
