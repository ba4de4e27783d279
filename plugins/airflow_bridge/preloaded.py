"""``python -m airflow_bridge.preloaded scheduler``: Airflow with the quality gate's libraries already imported.

The local executor forks its workers and tasks from the scheduler, so each task finds Great Expectations in
memory instead of importing it for seconds. Changes speed only; a plain ``airflow scheduler`` works the same.
"""

import sys

import great_expectations
import great_expectations.expectations  # noqa: F401
import pyiceberg.catalog.sql  # noqa: F401
from airflow.__main__ import main

if __name__ == "__main__":
    sys.argv[0] = "airflow"
    main()
