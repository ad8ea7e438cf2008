# The service as one image; docker-compose.yml runs its parts. It has no secret and no setting in it.
FROM python:3.11-slim-bookworm

# Chinese and Japanese letters for invoices (Apache 2.0, 2 MB), which the font that comes with the product lacks.
RUN apt-get update && apt-get install --yes --no-install-recommends fonts-droid-fallback \
    && rm -rf /var/lib/apt/lists/*
ENV INVOICE_FONT=/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf

RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent hpns \
    && install -d -o hpns -g hpns /var/lib/hpns/metrics /var/lib/hpns/status
WORKDIR /srv/hpns

# The packages, by the same script and from the same lock file (with hashes) as bin/run: a layer that changes only
# with the lock file.
COPY requirements.lock requirements-uv.lock ./
COPY hpns/local/environment.py hpns/local/
RUN PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 python3 -I hpns/local/environment.py requirements.lock

COPY . .
RUN .venv/bin/python -m compileall -q hpns billing delivery tenants manage.py

# Nothing below /srv/hpns belongs to this user, so the root file system can be read-only.
USER hpns
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ENTRYPOINT ["bin/serve"]
CMD ["web"]
EXPOSE 8066
