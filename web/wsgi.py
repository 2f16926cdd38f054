"""The entry point: gunicorn --config python:web.gunicorn_config web.wsgi:app."""

from core.settings import Settings
from web.app import create_app

app = create_app(Settings())
