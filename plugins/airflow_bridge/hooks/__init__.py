"""Hooks: a Connection becomes an adapter."""
