"""Names of connections, and waits."""

from typing import Final

TEMPORAL_CONN_ID: Final = "temporal_default"
PLATFORM_CONN_ID: Final = "tandem_default"
S3_CONN_ID: Final = "aws_default"
CONNECT_SECONDS: Final = 15
"""How long an operator tries to reach Temporal before the task's own retry takes over."""
REWATCH_SECONDS: Final = 2.0
"""Pause of a trigger before it asks Temporal again after losing it."""
