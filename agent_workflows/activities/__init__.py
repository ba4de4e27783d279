"""What agents do to the outside: one call each, safe to run twice, retried by Temporal only."""
