"""``python -m airflow_bridge.preloaded scheduler``: Airflow with the quality gate's libraries already imported.

The local executor forks its workers and tasks from the scheduler, so each task finds Great Expectations in
memory instead of importing it for seconds. Changes speed only; a plain ``airflow scheduler`` works the same.
"""

import sys

import great_expectations
import great_expectations.expectations  # noqa: F401
import pandas  # noqa: F401, ICN001
import pyiceberg.catalog.sql  # noqa: F401
import temporalio.client  # noqa: F401
from airflow.__main__ import main
from airflow.providers.amazon.aws.hooks import s3  # noqa: F401

if __name__ == "__main__":
    sys.argv[0] = "airflow"
    main()
