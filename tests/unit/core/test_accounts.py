"""Passwords, one-time links and API keys, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from core import accounts
from core.errors import AuthenticationError, NotFoundError, OptionsError
from core.records import ApiKey, SetupLink, User, utc_now

PASSWORD = "correct horse battery"  # noqa: S105 - a password of nobody


@pytest.fixture
def admin(database):
    with database.write() as session:
        return accounts.ensure_admin(session)


def set_password(database, user, password=PASSWORD):
    with database.write() as session:
        return accounts.use_setup_link(session, accounts.make_setup_link(session, user, 60), password)


def code_of(error):
    return error.value.code


def test_the_admin_is_made_once_and_found_afterwards(database):
    with database.write() as session:
        first = accounts.ensure_admin(session)
    with database.write() as session:
        assert accounts.ensure_admin(session).id == first.id
        assert accounts.ensure_admin(session).is_admin


def test_a_setup_link_sets_the_password_that_signs_in(database, admin):
    set_password(database, admin)
    with database.read() as session:
        assert accounts.sign_in(session, " admin ", PASSWORD).id == admin.id


def test_a_password_is_kept_only_as_an_argon2id_hash(database, admin):
    user = set_password(database, admin)
    assert user.password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$"), "as RFC 9106 recommends"
    assert PASSWORD not in user.password_hash


@pytest.mark.parametrize(
    ("name", "password"), [("admin", "wrong password"), ("nobody", PASSWORD), ("admin\0", PASSWORD)]
)
def test_a_wrong_name_and_a_wrong_password_are_refused_alike(database, admin, name, password):
    set_password(database, admin)
    with database.read() as session, pytest.raises(AuthenticationError) as error:
        accounts.sign_in(session, name, password)
    assert code_of(error) == "bad_credentials"


def test_nobody_signs_in_before_a_password_was_set(database, admin):
    with database.read() as session, pytest.raises(AuthenticationError):
        accounts.sign_in(session, "admin", "")


def test_the_same_password_typed_in_another_unicode_form_signs_in(database, admin):
    set_password(database, admin, "Grüße aus Köln")
    with database.read() as session:
        assert accounts.sign_in(session, "admin", "Gru\u0308ße aus Ko\u0308ln")


def test_a_setup_link_works_once(database, admin):
    with database.write() as session:
        token = accounts.make_setup_link(session, admin, 60)
    with database.write() as session:
        accounts.use_setup_link(session, token, PASSWORD)
    with database.write() as session, pytest.raises(AuthenticationError) as error:
        accounts.use_setup_link(session, token, "another password")
    assert code_of(error) == "bad_setup_link"
    with database.read() as session:
        assert accounts.sign_in(session, "admin", PASSWORD)


def test_a_used_setup_link_uses_up_the_others_of_the_same_person(database, admin):
    with database.write() as session:
        other = accounts.make_setup_link(session, admin, 60)
    set_password(database, admin)
    with database.read() as session, pytest.raises(AuthenticationError):
        accounts.user_of_setup_link(session, other)


def test_a_setup_link_that_is_too_old_is_refused(database, admin):
    with database.write() as session:
        token = accounts.make_setup_link(session, admin, 60)
        session.scalars(select(SetupLink)).one().expires_at = utc_now() - timedelta(seconds=1)
    with database.read() as session, pytest.raises(AuthenticationError):
        accounts.user_of_setup_link(session, token)
    with database.write() as session, pytest.raises(AuthenticationError):
        accounts.use_setup_link(session, token, PASSWORD)


@pytest.mark.parametrize("password", ["123456789", "x" * 1001])
def test_a_weak_password_is_refused_and_leaves_the_link_good(database, admin, password):
    with database.write() as session:
        token = accounts.make_setup_link(session, admin, 60)
    with database.write() as session, pytest.raises(OptionsError) as error:
        accounts.use_setup_link(session, token, password)
    assert code_of(error) == "weak_password"
    with database.read() as session:
        assert accounts.user_of_setup_link(session, token).id == admin.id


def test_setting_a_password_raises_the_session_epoch(database, admin):
    before = admin.session_epoch
    assert set_password(database, admin).session_epoch == before + 1


def test_an_api_key_opens_until_it_is_revoked(database, admin):
    with database.write() as session:
        key, token = accounts.make_api_key(session, admin, "scanner")
    assert token.startswith("g2h_")
    assert token.startswith(key.prefix)
    with database.read() as session:
        assert accounts.user_of_key(session, token).id == admin.id
    with database.write() as session:
        accounts.revoke_api_key(session, admin, key.id)
    with database.read() as session, pytest.raises(AuthenticationError) as error:
        accounts.user_of_key(session, token)
    assert code_of(error) == "bad_api_key"


def test_no_token_is_kept_in_the_database(database, admin):
    with database.write() as session:
        link = accounts.make_setup_link(session, admin, 60)
        _, token = accounts.make_api_key(session, admin, "scanner")
    with database.read() as session:
        kept = [repr(vars(row)) for table in (SetupLink, ApiKey, User) for row in session.scalars(select(table))]
    assert not any(link in row or token in row for row in kept)


def test_the_use_of_a_key_is_noted_to_the_minute(database, admin):
    with database.write() as session:
        key, token = accounts.make_api_key(session, admin, "scanner")
    assert accounts.is_use_to_note(key)
    with database.write() as session:
        accounts.note_key_use(session, key.id)
    with database.write() as session:
        key = accounts.find_api_key(session, token)
        assert not accounts.is_use_to_note(key)
        key.last_used_at = utc_now() - timedelta(minutes=2)
        assert accounts.is_use_to_note(key)


def test_keys_are_listed_newest_first_with_revoked_ones_and_only_ones_own(database, admin):
    with database.write() as session:
        other = User(name="other")
        session.add(other)
        session.flush()
        accounts.make_api_key(session, other, "not mine")
        first, _ = accounts.make_api_key(session, admin, "first")
        first.created_at = utc_now() - timedelta(hours=1)
        accounts.make_api_key(session, admin, "second")
        accounts.revoke_api_key(session, admin, first.id)
    with database.read() as session:
        assert [key.name for key in accounts.list_api_keys(session, admin)] == ["second", "first"]


def test_nobody_revokes_the_key_of_somebody_else(database, admin):
    with database.write() as session:
        other = User(name="other")
        session.add(other)
        session.flush()
        key, token = accounts.make_api_key(session, admin, "mine")
    with database.write() as session, pytest.raises(NotFoundError):
        accounts.revoke_api_key(session, other, key.id)
    with database.read() as session:
        assert accounts.user_of_key(session, token)


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "two\nlines"])
def test_a_key_needs_a_decent_name(database, admin, name):
    with database.write() as session, pytest.raises(OptionsError) as error:
        accounts.make_api_key(session, admin, name)
    assert code_of(error) == "bad_name"
