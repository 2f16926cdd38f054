"""Who gets in, by which door, and for how long."""

import time

import pytest
from werkzeug.datastructures import Headers

OPEN_PATHS = ("/health", "/sign-in", "/static/logo.svg")


@pytest.fixture
def ada(site, password):
    return site.user("ada", password=password)


@pytest.mark.parametrize("path", ["/", "/jobs", "/keys", "/jobs/" + "0" * 32, "/no-such-page", "/sign-out"])
def test_a_page_without_a_session_leads_to_the_sign_in(site, path):
    response = site.app.test_client().get(path)
    assert response.status_code == 303
    assert response.location.startswith("/sign-in")


@pytest.mark.parametrize("path", ["jobs", "openapi.json", "no-such-thing", "jobs/" + "0" * 32 + "/results.zip"])
def test_the_api_without_a_session_or_key_answers_401(site, path):
    response = site.app.test_client().get(f"/api/v1/{path}")
    assert response.status_code == 401
    assert response.json["code"] == "not_signed_in"
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_every_route_is_closed_unless_it_is_one_of_the_few_open_ones(site):
    client = site.app.test_client()
    opened = set()
    for rule in site.app.url_map.iter_rules():
        path = site.app.url_map.bind("localhost").build(
            rule.endpoint,
            dict.fromkeys(rule.arguments, "0" * 32),
            method=min(rule.methods - {"OPTIONS", "HEAD"}),
        )
        for method in rule.methods - {"OPTIONS", "HEAD"}:
            response = client.open(path, method=method, headers={"X-CSRFToken": site.token(client)})
            location = response.headers.get("Location", "")
            if response.status_code != 401 and not location.startswith("/sign-in"):
                opened.add(rule.endpoint)
    assert opened == {"health.show", "accounts.sign_in", "accounts.setup", "static"}


@pytest.mark.usefixtures("ada")
def test_a_person_signs_in_and_goes_on_where_they_wanted(site, password):
    client = site.app.test_client()
    wanted = client.get("/jobs?before=" + "0" * 32).location
    response = site.sign_in(client, "ada", password, wanted.removeprefix("/sign-in"))
    assert response.location == "/jobs?before=" + "0" * 32
    assert client.get("/").status_code == 200


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)", ""],
)
def test_the_sign_in_leads_to_no_other_site(site, password, target):
    client = site.app.test_client()
    token = site.token(client)
    response = client.post(
        "/sign-in", query_string={"next": target}, data={"name": "ada", "password": password, "csrf_token": token}
    )
    assert response.status_code == 303
    assert response.location == "/"


@pytest.mark.usefixtures("ada")
def test_a_wrong_password_shows_the_form_again_and_opens_nothing(site):
    client = site.app.test_client()
    response = site.sign_in(client, "ada", "not the password")
    assert response.status_code == 401
    assert "wrong" in response.text
    assert client.get("/").status_code == 303


@pytest.mark.usefixtures("ada")
def test_guessing_is_stopped_even_when_the_guess_is_right_at_last(site, password):
    client = site.app.test_client()
    for _ in range(10):
        assert site.sign_in(client, "ada", "not the password").status_code == 401
    response = site.sign_in(client, "ada", password)
    assert response.status_code == 429
    assert client.get("/").status_code == 303


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(make_site, password):
    site = make_site(cookie_secure=True, port=8333)
    site.user("ada", password=password)
    client = site.app.test_client()
    form = {"name": "ada", "password": password}
    page = client.get("/sign-in", base_url="https://localhost")
    form["csrf_token"] = page.text.partition('name="csrf-token" content="')[2].partition('"')[0]
    response = client.post(
        "/sign-in", data=form, base_url="https://localhost", headers={"Referer": "https://localhost/"}
    )
    cookie = response.headers["Set-Cookie"]
    assert response.status_code == 303
    assert cookie.startswith("gray2hue_8333=")
    for part in ("HttpOnly", "SameSite=Lax", "Secure", "Expires="):
        assert part in cookie


def test_the_session_is_a_new_one_after_the_sign_in(site, ada, password):
    client = site.app.test_client()
    with client.session_transaction() as session:
        session["planted"] = "by somebody else"
    before = site.token(client)
    form = {"name": "ada", "password": password, "csrf_token": before}
    client.post("/sign-in", data=form)
    with client.session_transaction() as session:
        assert "planted" not in session
        assert session["user_id"] == ada.id
    assert client.post("/keys", data={"name": "key", "csrf_token": before}).status_code == 403


def test_a_session_ends_on_the_server_too(make_site, password):
    site = make_site(session_lifetime_s=3600)
    client = site.browser(site.user("ada", password=password))
    with client.session_transaction() as session:
        session["signed_in_at"] = int(time.time()) - 3500
    assert client.get("/").status_code == 200
    with client.session_transaction() as session:
        session["signed_in_at"] = int(time.time()) - 3600
    assert client.get("/").status_code == 303


def test_signing_out_ends_the_session(site, ada):
    client = site.browser(ada)
    response = client.post("/sign-out", data={"csrf_token": site.token(client)})
    assert response.location == "/sign-in"
    assert client.get("/").status_code == 303


def test_a_setup_link_sets_the_password_signs_in_and_ends_other_sessions(site, ada):
    other = site.browser(ada)
    client, link = site.app.test_client(), f"/setup/{site.setup_link(ada)}"
    assert "ada" in client.get(link).text
    form = {"password": "a new password", "password_again": "a new password", "csrf_token": site.token(client, link)}
    response = client.post(link, data=form)
    assert response.status_code == 303
    assert client.get("/").status_code == 200
    assert other.get("/").status_code == 303
    assert client.get(link).status_code == 404


@pytest.mark.parametrize(
    ("first", "second", "told"), [("short", "short", "at least 10"), ("a new password", "another one", "not the same")]
)
def test_a_password_that_will_not_do_is_told_and_leaves_the_link_good(site, ada, first, second, told):
    client, link = site.app.test_client(), f"/setup/{site.setup_link(ada)}"
    form = {"password": first, "password_again": second, "csrf_token": site.token(client, link)}
    response = client.post(link, data=form)
    assert response.status_code == 422
    assert told in response.text
    assert client.get(link).status_code == 200


def test_a_link_that_never_was_is_told_as_a_page(site):
    response = site.app.test_client().get("/setup/nonsense")
    assert response.status_code == 404
    assert "This link does not work" in response.text


def test_forms_without_a_csrf_token_are_refused(site, ada, password):
    client = site.browser(ada)
    for path, form in (("/keys", {"name": "key"}), ("/sign-out", {})):
        response = client.post(path, data=form)
        assert response.status_code == 403
    fresh = site.app.test_client()
    assert fresh.post("/sign-in", data={"name": "ada", "password": password}).status_code == 403
    link = f"/setup/{site.setup_link(ada)}"
    assert fresh.post(link, data={"password": "a new password", "password_again": "a new password"}).status_code == 403
    assert client.get("/").status_code == 200


def test_the_api_wants_the_csrf_token_in_a_header_from_a_browser(site, ada):
    client = site.browser(ada)
    token = site.token(client, "/")
    upload = {"query_string": {"filename": "a.jpg"}, "data": b"jpeg", "content_type": "image/jpeg"}
    refused = client.post("/api/v1/jobs", **upload)
    assert (refused.status_code, refused.json["code"]) == (403, "csrf_failed")
    assert site.jobs() == []
    assert client.post("/api/v1/jobs", **upload, headers={"X-CSRFToken": token}).status_code == 201


def test_a_program_needs_no_csrf_token(site, ada):
    upload = {"query_string": {"filename": "a.jpg"}, "data": b"jpeg", "content_type": "image/jpeg"}
    assert site.program(ada).post("/api/v1/jobs", **upload).status_code == 201


def test_a_bad_key_never_falls_back_to_the_session(site, ada):
    client = site.browser(ada)
    assert client.get("/api/v1/jobs").status_code == 200
    response = client.get("/api/v1/jobs", headers=Headers({"Authorization": "Bearer g2h_wrong"}))
    assert (response.status_code, response.json["code"]) == (401, "bad_api_key")
    assert "invalid_token" in response.headers["WWW-Authenticate"]


def test_a_bad_key_gets_past_no_csrf_check(site, ada):
    client = site.browser(ada)
    response = client.post("/keys", data={"name": "key"}, headers={"Authorization": "Bearer g2h_wrong"})
    assert response.status_code == 403


def test_a_key_opens_the_api_but_not_the_pages(site, ada):
    program = site.program(ada)
    assert program.get("/api/v1/jobs").status_code == 200
    for path in ("/", "/keys"):
        assert program.get(path).status_code == 403


def test_keys_are_made_shown_once_used_and_revoked_on_their_page(site, ada):
    client = site.browser(ada)
    made = client.post("/keys", data={"name": "Сканер", "csrf_token": site.token(client, "/keys")})
    assert made.status_code == 201
    token = made.text.partition('value="g2h_')[2].partition('"')[0]
    assert token
    headers = {"Authorization": f"Bearer g2h_{token}"}
    assert site.app.test_client().get("/api/v1/jobs", headers=headers).status_code == 200
    page = client.get("/keys").text
    assert "Сканер" in page
    assert token not in page
    assert "never used" not in page
    key_id = page.partition('action="/keys/')[2].partition("/")[0]
    revoked = client.post(f"/keys/{key_id}/revoke", data={"csrf_token": site.token(client, "/keys")})
    assert revoked.location == "/keys"
    assert site.app.test_client().get("/api/v1/jobs", headers=headers).status_code == 401


def test_nobody_revokes_the_key_of_somebody_else_on_the_page(site, ada, password):
    key_owner = site.user("grace", password=password)
    grace = site.browser(key_owner)
    grace.post("/keys", data={"name": "hers", "csrf_token": site.token(grace, "/keys")})
    key_id = grace.get("/keys").text.partition('action="/keys/')[2].partition("/")[0]
    client = site.browser(ada)
    assert client.post(f"/keys/{key_id}/revoke", data={"csrf_token": site.token(client, "/")}).status_code == 404


def test_behind_a_proxy_the_address_that_counts_is_the_one_the_proxy_saw(make_site, password):
    site = make_site(trusted_proxies=1)
    site.user("ada", password=password)
    guesser, owner = site.app.test_client(), site.app.test_client()
    guesser.environ_base["HTTP_X_FORWARDED_FOR"] = "203.0.113.1"
    owner.environ_base["HTTP_X_FORWARDED_FOR"] = "203.0.113.2"
    for _ in range(11):
        last = site.sign_in(guesser, "ada", "not the password")
    assert last.status_code == 429
    assert site.sign_in(owner, "ada", password).status_code == 303


def test_without_a_trusted_proxy_nobody_chooses_their_own_address(site, ada, password):
    client = site.app.test_client()
    for number in range(11):
        client.environ_base["HTTP_X_FORWARDED_FOR"] = f"203.0.113.{number}"
        last = site.sign_in(client, "ada", "not the password")
    assert last.status_code == 429
