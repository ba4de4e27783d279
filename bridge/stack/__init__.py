"""The local stack: every server on loopback, without Docker, under one supervisor. For development and CI.

Works from a checkout of the repository: it runs what ``dags/``, ``plugins/`` and ``infra/`` hold.
"""
