"""The doorway of a worker host: the Celery app, made from the environment."""
