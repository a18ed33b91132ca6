"""Tasks as Ray's, on this machine or wherever a cluster has room: the only room that imports Ray."""

import os
import sys
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # a client's connection tells of each subprocess

_has_token = (
    os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} or Path("~/.ray/auth_token").expanduser().exists()
)
if _has_token and "ray" not in sys.modules:  # which reads it while it is imported
    # By itself it shows its token to a cluster of this machine alone. One that asks for none takes no notice.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
