"""The quality gate: suites as code, a verdict, a report."""
