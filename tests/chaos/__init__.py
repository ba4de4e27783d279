"""The fault bench: ``make chaos``."""
