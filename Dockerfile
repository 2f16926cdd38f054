# Two images of one source: `web`, without torch and image codecs, and `worker`, with everything and CUDA.
#
#   docker build --target web .
#   docker build --target worker .

FROM python:3.11.14-slim-bookworm AS base
ENV LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_INPUT=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PATH=/opt/venv/bin:$PATH

# What the web needs, as the lock has it, in an environment without pip and setuptools.
FROM base AS web-packages
COPY requirements/web.lock /tmp/
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --require-hashes -r /tmp/web.lock

# What the workers need.
FROM base AS worker-packages
COPY requirements/worker.lock /tmp/
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --require-hashes -r /tmp/worker.lock

# Gray2Hue as a wheel. What builds it comes from the lock too, with its hashes.
FROM base AS wheel
WORKDIR /source
COPY requirements/worker.lock /tmp/
RUN sed -n '/^setuptools==/,/# via/p' /tmp/worker.lock > /tmp/build.lock \
 && pip install --require-hashes -r /tmp/build.lock
COPY pyproject.toml README.md ./
COPY core core
COPY web web
COPY worker worker
COPY cli cli
COPY migrations migrations
RUN pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels .

# The user, with the same number everywhere: folders that machines share keep their owner.
FROM base AS runtime
RUN groupadd --gid 10001 gray2hue \
 && useradd --uid 10001 --gid 10001 --no-log-init --home-dir /data --shell /usr/sbin/nologin gray2hue \
 && install -d -o gray2hue -g gray2hue -m 0750 /data /data/store /data/training /data/run
ENV GRAY2HUE_DATA_DIR=/data \
    GRAY2HUE_MODELS_DIR=/opt/gray2hue/models \
    GRAY2HUE_HOST=0.0.0.0
WORKDIR /data

FROM runtime AS web
COPY --from=web-packages /opt/venv /opt/venv
# The metadata alone: the web names the model's version and loads no weights.
COPY models/model.json models/README.md /opt/gray2hue/models/
COPY models/v0/model.json models/v0/README.md /opt/gray2hue/models/v0/
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip --python /opt/venv/bin/python install --no-deps --no-index /wheels/*.whl
USER gray2hue
EXPOSE 8220
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import httpx, sys; sys.exit(httpx.get('http://127.0.0.1:8220/health', timeout=8, trust_env=False).status_code != 200)"]
CMD ["gunicorn", "--config", "python:web.gunicorn_config", "web.wsgi:app"]

FROM runtime AS worker
COPY --from=worker-packages /opt/venv /opt/venv
COPY models /opt/gray2hue/models
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip --python /opt/venv/bin/python install --no-deps --no-index /wheels/*.whl
# Celery stops like by SIGQUIT when the container is stopped: what is in hand gets a while, then goes back to the queue.
ENV REMAP_SIGTERM=SIGQUIT \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER gray2hue
HEALTHCHECK --interval=60s --timeout=30s --start-period=120s --retries=3 \
    CMD celery --quiet --broker "$GRAY2HUE_BROKER_URL" inspect --timeout 10 --destination "colorize@$(hostname)" ping
CMD ["celery", "-A", "worker.main:app", "worker", "--loglevel", "INFO", "--without-mingle", "--without-gossip", \
     "-Q", "express,maintenance,colorize", "-c", "1", "-n", "colorize@%h"]
