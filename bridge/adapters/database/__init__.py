"""The platform database: tenants, verdicts, publications, completions, the outbox, agents' transcripts.

SQLAlchemy over SQLite (development) or PostgreSQL. SQLite is not a boundary between tenants.
"""

from bridge.adapters.database.engine import Database

__all__ = ["Database"]
