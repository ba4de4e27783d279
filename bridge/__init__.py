"""The seam between Airflow and Temporal: contracts, rules, and the process that carries events across."""
