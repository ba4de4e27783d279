"""Workflows: deterministic, registered by the name in their contract."""
