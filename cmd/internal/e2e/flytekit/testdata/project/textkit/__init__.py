"""A project of several files, whose tasks import their helpers."""
