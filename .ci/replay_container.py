"""Build the image by replay, and run its command as Docker would: as a user that is not root, in an empty /runs.

No engine is needed: the Dockerfile's steps are carried out in a temporary folder (`image_replay.py`), with this Python
in place of the base image's. What it can't show: the base image itself, namespaces, a GPU.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from image_replay import AS_ROOT, Image, ReplayError

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 120
"""How long one command in the container may take."""

STAGE = "name: {name}, cells: 3, channels: 2, epochs: {epochs}, images: 80, batch: 20"
TINY = "stages=[{" + STAGE.format(name="init", epochs=1) + ", population: 2}, {"
TINY += STAGE.format(name="final", epochs=1) + ", survivors: 1}]"
ENDLESS = "stages=[{" + STAGE.format(name="init", epochs=100000) + ", population: 1}]"


class Container:
    """Commands in the image, each in a process of its own."""

    def __init__(self, image: Image) -> None:
        self._image = image
        temporary = image.root / "tmp"  # stands for /tmp
        temporary.mkdir()
        temporary.chmod(0o1777)
        self.runs = image.workdir
        self._environment = image.environment | image.libraries() | {"TMPDIR": str(temporary)}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command with both its outputs in pipes."""
        user, group = self._image.user
        as_user: dict[str, Any] = {"user": user, "group": group, "extra_groups": []} if AS_ROOT else {}
        program = shutil.which(words[0], path=self._environment["PATH"]) or words[0]
        return subprocess.Popen(
            [program, *words[1:]],
            cwd=self._image.workdir,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C meant for the replay must not be the container's
            **as_user,
        )

    def run(self, *words: str) -> str:
        """What a command prints.

        Raises:
            ReplayError: it failed or took too long; with the end of what it said.
        """
        process = self.start(*words)
        try:
            out, said = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, said = process.communicate()
        expect(process.returncode == 0, f"exit code {process.returncode} from {words}:\n{said[-3000:]}")
        return out

    def medarts(self, *words: str) -> str:
        """What the entrypoint prints with these words after it."""
        return self.run(*self._image.entrypoint, *words)


def expect(holds: bool, otherwise: str) -> None:
    """Raise a ReplayError unless it holds."""
    if not holds:
        raise ReplayError(otherwise)


def check_volumes(image: Image, container: Container) -> None:
    """A new named volume takes over the owner of the image's folder: that must be the user."""
    owner = image.user[0] if AS_ROOT else os.geteuid()
    for volume in map(Path, image.volumes):
        expect(volume.is_dir() and not any(volume.iterdir()), f"{volume} is no empty folder")
        expect(volume.stat().st_uid == owner, f"{volume} belongs to {volume.stat().st_uid}, the user is {owner}")
    expect(container.runs in map(Path, image.volumes), f"the command starts in {container.runs}, which is no volume")


def check_help(image: Image, container: Container) -> None:
    """What `docker run medarts-ops` prints."""
    said = container.medarts(*image.command)
    expect("Usage: medarts" in said and "search" in said, f"this is no help:\n{said}")


def check_settings(image: Image, container: Container) -> None:
    """The presets are installed."""
    said = container.medarts("config", "show", "--preset", "cifar10")
    expect("stages.2.cells" in said, f"these are no settings:\n{said}")


def check_imports(image: Image, container: Container) -> None:
    """The package is the installed one, and the repository's folders are no packages of their own."""
    find = "from importlib.util import find_spec; print(*map(find_spec, ('cli', 'tracking', 'configs')))"
    said = container.run("python", "-c", find)
    expect(said.split() == ["None"] * 3, f"the repository's folders can be imported: {said}")
    said = container.run("python", "-c", "import medarts_ops.cli as found; print(found.__file__)")
    expect(f"{image.root}/opt/venv/lib/" in said, f"medarts_ops.cli is imported from {said}")


def check_server(image: Image, container: Container) -> None:
    """What the compose file's service `mlflow` needs of the image."""
    said = container.run("mlflow", "server", "--help")
    expect("--allowed-hosts" in said, f"this is no help of MLflow's server:\n{said}")
    container.run("python", "-c", "import psycopg2")


def check_search(image: Image, container: Container) -> None:
    """A search of seconds, listed by the next container; it writes to /runs, but for Matplotlib's list of fonts."""
    before = files_outside(image)
    container.medarts("search", "--name", "replayed", "--set", TINY, "--set", "runtime.workers=1")
    listed = container.medarts("runs")
    expect("replayed" in listed and "FINISHED" in listed, f"the search is not listed as finished:\n{listed}")
    made = {path.name for path in container.runs.iterdir() if not path.name.startswith(".")}
    expect(made == {"mlflow.db", "mlruns", "optuna.db", "medarts-work"}, f"/runs holds {sorted(made)}")
    written = sorted(files_outside(image) - before)
    expect(not written, f"written outside of /runs: {written[:10]}")


def check_stop(image: Image, container: Container) -> None:
    """`docker stop` in mid search: the command itself gets STOPSIGNAL, and says how to go on."""
    words = (*image.entrypoint, "search", "--name", "stopped", "--set", ENDLESS, "--set", "runtime.workers=1")
    process = container.start(*words)
    assert process.stderr is not None
    limit = threading.Timer(SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    limit.start()
    said = ""
    for line in process.stderr:  # ends with the process
        said += line
        if line.startswith("init-00 epoch 1/"):
            process.send_signal(image.stop_signal)
    limit.cancel()
    process.communicate()
    end = said[-2000:]
    expect(process.returncode == 130, f"{image.stop_signal.name} ended it with {process.returncode}:\n{end}")
    expect("medarts resume stopped" in end, f"it did not say how to go on:\n{end}")


def files_outside(image: Image) -> set[tuple[str, int]]:
    """Every file of the image and when it was written, but those of /runs and caches."""
    found = set()
    left_out = (str(image.workdir), image.environment["MPLCONFIGDIR"])
    for folder, folders, names in os.walk(image.root):
        folders[:] = [it for it in folders if it != "__pycache__" and os.path.join(folder, it) not in left_out]
        found |= {(path, os.lstat(path).st_mtime_ns) for name in names if (path := os.path.join(folder, name))}
    return found


CHECKS: tuple[Callable[[Image, Container], None], ...] = (
    check_volumes,
    check_help,
    check_settings,
    check_imports,
    check_server,
    check_search,
    check_stop,
)


def copy_of_the_tree(target: Path) -> None:
    """What git knows of this checkout, or would add: the context that a clone gives `docker build`."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def tell(seconds: float, what: str) -> None:
    """One line of the report."""
    print(f"{seconds:7.1f} s  {what if len(what) <= 100 else what[:99] + '…'}", flush=True)


def replay(folder: Path) -> None:
    """Build and try the image in an empty folder.

    Raises:
        ReplayError: what did not go as it should.
    """
    context, root = folder / "context", folder / "image"
    context.mkdir()
    root.mkdir()
    copy_of_the_tree(context)
    image = Image(context, root)
    image.replay(tell)
    shutil.rmtree(context)
    container = Container(image)
    for check in CHECKS:
        start = time.monotonic()
        check(image, container)
        tell(time.monotonic() - start, check.__name__.replace("_", " "))


def main() -> None:
    """Replay in a temporary folder, which is removed whatever happens."""
    signal.signal(signal.SIGTERM, _leave)
    # A shell's job in the background ignores Ctrl-C, and so would the container that is interrupted.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.umask(0o022)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="medarts-image-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the container's user has to get in
        try:
            replay(Path(folder))
        except ReplayError as error:
            sys.exit(f"the replay failed: {error}")
    who = "" if AS_ROOT else "; as yourself, since only root can be another user"
    tell(time.monotonic() - start, f"in all{who}")


def _leave(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
