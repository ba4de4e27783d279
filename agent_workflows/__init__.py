"""Durable agents on Temporal: they think, call tools, wait, and survive any crash."""
