"""Loads Limpet's plugin; nothing else."""

pytest_plugins = ["limpet.pytest_plugin"]
