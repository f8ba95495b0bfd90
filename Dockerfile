# One image recipe for every service: docker build --build-arg SERVICE=ingestion .
FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /app
COPY pyproject.toml uv.lock ./
COPY libs libs
COPY services services
COPY tools tools
ARG SERVICE
RUN test -n "$SERVICE" || { echo "build with --build-arg SERVICE=<name>"; exit 1; }
RUN UV_LINK_MODE=copy uv sync --locked --no-dev --no-cache --package "shouwang-$SERVICE"

FROM python:3.13-slim
ARG SERVICE
ENV SERVICE=$SERVICE \
    SHOUWANG_ROOT=/app \
    SHOUWANG_HOME=/var/lib/shouwang \
    PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --home-dir /var/lib/shouwang --create-home shouwang
WORKDIR /app
COPY --from=build /app /app
COPY contracts contracts
COPY deploy/local/processes.yaml deploy/local/processes.yaml
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=6 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
# The console has no database and so nothing to migrate.
CMD ["sh", "-c", "if [ -d services/$SERVICE/migrations/versions ] && ls services/$SERVICE/migrations/versions/*.py >/dev/null 2>&1; then python -m shell.store.migrate $SERVICE; fi && exec python -m uvicorn --host 0.0.0.0 --port 8000 --no-access-log --log-level warning --loop uvloop --http shell.http.connections:LimitedHttp --timeout-graceful-shutdown 10 $SERVICE.main:app"]
