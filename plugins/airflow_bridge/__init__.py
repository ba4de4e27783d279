"""How Airflow speaks to the rest: connection types, hooks, operators, triggers, links, the quality gate."""
