"""The web: pages for people and a JSON API for programs. Knows core, but neither torch nor images.

app.py              create_app: everything put together
wsgi.py             the entry point for gunicorn, set up by gunicorn_config.py
services.py         what the views work with: settings, database, storage, hints
secret_key.py       the key that signs sessions
auth.py             who asks: session or API key, CSRF
guard.py            the bound on failed sign-ins
problems.py         errors to RFC 9457 problem details, or to a page
headers.py          security and caching headers
parameters.py       query parameters, checked
bodies.py           JSON bodies, checked
serializers.py      jobs, photos and keys as JSON
serializers_training.py  model versions, training runs and material as JSON
responses.py        JSON with an ETag; stored objects with ranges
uploads/            bodies of any size, streamed to disk
blueprints/         the routes, one file per noun
openapi.yaml        the API's description; openapi_training.yaml, its part about training
"""
