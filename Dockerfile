# The command line in a container:
#   docker build -t audio-lrp .
#   docker run --rm --user "$(id -u)" -v "$PWD":/sounds audio-lrp explain clip.wav
# With training (TensorFlow, larger):
#   docker build --build-arg EXTRAS=[train] -t audio-lrp-train .
#   docker run --rm -v "$PWD":/sounds --entrypoint python audio-lrp-train -m train_tf train --synthetic -o runs

FROM python:3.12-slim AS build
ARG EXTRAS=""
COPY . /source
RUN python -m venv /opt/audio-lrp && /opt/audio-lrp/bin/pip install --no-cache-dir "/source${EXTRAS}"

FROM python:3.12-slim
RUN useradd --create-home --uid 1000 listener
COPY --from=build /opt/audio-lrp /opt/audio-lrp
ENV PATH=/opt/audio-lrp/bin:$PATH MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/tmp/numba
USER listener
WORKDIR /sounds
ENTRYPOINT ["audio-lrp"]
CMD ["--help"]
