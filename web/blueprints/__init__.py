"""The routes, one file per noun."""

from web.blueprints import (
    accounts,
    approvals,
    events,
    health,
    jobs,
    keys,
    material,
    models,
    openapi,
    pages,
    photos,
    results,
    training,
    uploads,
)

ALL_BLUEPRINTS = (
    accounts.blueprint,
    approvals.blueprint,
    events.blueprint,
    health.blueprint,
    jobs.blueprint,
    keys.blueprint,
    material.blueprint,
    models.blueprint,
    openapi.blueprint,
    pages.blueprint,
    photos.blueprint,
    results.blueprint,
    training.blueprint,
    uploads.blueprint,
)
