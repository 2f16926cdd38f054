"""The routes, one file per noun."""

from web.blueprints import accounts, health, jobs, keys, openapi, pages, photos, results, uploads

ALL_BLUEPRINTS = (
    accounts.blueprint,
    health.blueprint,
    jobs.blueprint,
    keys.blueprint,
    openapi.blueprint,
    pages.blueprint,
    photos.blueprint,
    results.blueprint,
    uploads.blueprint,
)
