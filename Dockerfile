# The command line in a container:
#   docker build -t audio-lrp .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD":/sounds audio-lrp explain clip.wav
# With training (TensorFlow, larger):
#   docker build --build-arg EXTRAS=dataset,train -t audio-lrp-train .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD":/sounds --entrypoint python audio-lrp-train \
#       -m train_tf train --synthetic -o runs

FROM python:3.12-slim AS build
# The extras of setup.cfg to install, separated by commas.
ARG EXTRAS=dataset
ENV PATH=/opt/audio-lrp/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/audio-lrp
WORKDIR /source
# What the package depends on goes in first, without its sources: a change to them then leaves this layer in the cache.
COPY pyproject.toml setup.cfg ./
RUN pip install ".${EXTRAS:+[$EXTRAS]}"
COPY . .
RUN pip install --no-deps --force-reinstall .

FROM python:3.12-slim
LABEL org.opencontainers.image.title="Audio-LRP" \
      org.opencontainers.image.description="Which part of a sound made a neural network decide" \
      org.opencontainers.image.licenses="MIT AND CC-BY-NC-3.0"
# The folder is made here since builders disagree on whether WORKDIR gives it to root or to the USER.
RUN useradd --create-home --uid 1000 listener && install --directory --owner=listener --group=listener /sounds
COPY --from=build /opt/audio-lrp /opt/audio-lrp
# Caches go where any user may write, one without a home (--user) or with a read-only root too.
ENV PATH=/opt/audio-lrp/bin:$PATH MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/tmp/numba
USER listener
WORKDIR /sounds
# Process 1 ignores SIGTERM unless it handles it; Python handles SIGINT, so `docker stop` ends a run as Ctrl-C does.
STOPSIGNAL SIGINT
ENTRYPOINT ["audio-lrp"]
CMD ["--help"]
