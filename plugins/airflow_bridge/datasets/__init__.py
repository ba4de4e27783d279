"""What the pipelines read and publish."""
