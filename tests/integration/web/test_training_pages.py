"""Who sees the pages of training and of the models."""

import pytest

from core.records import new_id


@pytest.fixture
def ada(site, password):
    return site.browser(site.user("ada", password=password))


@pytest.fixture
def admin(site, password):
    return site.browser(site.user("grace", admin=True, password=password))


@pytest.mark.parametrize("path", ["/training", f"/training/runs/{new_id()}"], ids=["all", "one"])
def test_training_is_for_admins_alone(ada, path):
    answer = ada.get(path)
    assert answer.status_code == 403
    assert "Only an admin" in answer.text


def test_only_an_admin_is_shown_the_way_to_them(ada, admin):
    assert 'href="/training"' not in ada.get("/").text
    assert 'href="/training"' in admin.get("/").text
    assert 'href="/models"' in admin.get("/").text


def test_the_training_page_offers_every_recipe_and_proposes_fine_tuning(admin):
    page = admin.get("/training").text
    assert 'value="fine-tune" data-steps="600" selected' in page
    assert 'value="default"' in page
    assert 'value="quick"' in page


def test_a_run_that_is_not_there_has_no_page(admin):
    assert admin.get(f"/training/runs/{new_id()}").status_code == 404


def test_anybody_may_look_at_the_models_and_only_an_admin_changes_them(ada, admin):
    assert 'data-may-change="no"' in ada.get("/models").text
    assert 'data-may-change="yes"' in admin.get("/models").text
