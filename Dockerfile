# syntax=docker/dockerfile:1.7
# medarts in a container, with what PyTorch needs of CUDA:
#
#   docker build -t medarts-ops .
#   docker run --rm --init --gpus all -v "$PWD/data:/data" -v "$PWD/runs:/runs" medarts-ops search
#
# The host needs an NVIDIA driver >= 580 and the NVIDIA Container Toolkit: the locked torch wheels bring CUDA 13, which
# older drivers can't run. Without --gpus it computes on the CPU. --init reaps the worker processes of a killed search.
# docs/docker.md says more.

# The version that requirements.lock was resolved for.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
# For an older driver, or for no GPU at all: the package index of another build of the same torch release (CUDA 12.6,
# CPU; PyTorch's install page names them). Without it the lock is taken as it is.
ARG TORCH_INDEX
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /src
# By itself: gigabytes that change with the lock only. --no-deps, since a lock that lacks something should fail below
# and not be completed by whatever is newest today.
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ -z "${TORCH_INDEX}" ]; then \
        pip install --no-deps -r requirements.lock; \
    else \
        grep -E '^torch(vision)?==' requirements.lock > torch.lock \
     && grep -vE '^(torch|torchvision|triton|cuda-.*|nvidia-.*)==' requirements.lock > rest.lock \
     && pip install --index-url "${TORCH_INDEX}" -r torch.lock \
     && pip install --no-deps -r rest.lock; \
    fi
COPY pyproject.toml README.md ./
COPY medarts_ops ./medarts_ops
COPY cli ./cli
COPY tracking ./tracking
COPY configs ./configs
# Built by the lock's setuptools: an isolated build would fetch today's.
RUN pip install --no-deps --no-build-isolation --no-cache-dir . \
 && pip check

# No nvidia/cuda base: the wheels hold CUDA, and it would be there twice.
FROM python:${PYTHON_VERSION}-slim-bookworm AS runtime
# The home is everybody's: `--user $(id -u):$(id -g)` has to find a place for caches, too. A new named volume takes over the
# owner of /data or /runs.
RUN useradd --create-home --uid 1000 medarts \
 && install -d -o medarts -g medarts /data /runs \
 && chmod 1777 /home/medarts
COPY --from=build /opt/venv /opt/venv
# `utility` is NVML, which MLflow's system metrics read.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/home/medarts \
    MPLCONFIGDIR=/home/medarts/.matplotlib \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    MEDARTS_DATA_DIR=/data \
    MLFLOW_TRACKING_URI=sqlite:////runs/mlflow.db \
    MLFLOW_DISABLE_TELEMETRY=true \
    OPTUNA_STORAGE=sqlite:////runs/optuna.db
# By number, so that Kubernetes' runAsNonRoot can see that it is not root. Mounted folders must be writable for it.
USER 1000:1000
# Not the sources' folder: there, cli/ and tracking/ would be importable under names of their own. Journal and
# checkpoints (./medarts-work) land beside the stores.
WORKDIR /runs
VOLUME ["/data", "/runs"]
# `docker stop` ends a search as Ctrl-C does: its runs are closed as KILLED, what was finished stays.
STOPSIGNAL SIGINT
ENTRYPOINT ["medarts"]
CMD ["--help"]
