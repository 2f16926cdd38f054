"""The worker side: Celery around plain functions."""
