"""One file per outside thing the worker speaks to."""
