"""A Dockerfile's steps carried out in a folder: what an engine would build, as far as that goes without one."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docker.utils import exclude_paths
from dockerfile_parse import DockerfileParser

PLACES = ("/opt/venv", "/src", "/data", "/runs", "/home/medarts")
"""The paths of the image that stand for folders of the replay; a step that names another is refused."""

CACHE_MOUNT = re.compile(r"^--mount=type=cache,target=/root/\.cache/pip\s+")
"""BuildKit's cache lives on between builds; so does pip's own of whoever runs this, which takes its place."""

SEARCHED = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
AS_ROOT = os.geteuid() == 0


class ReplayError(Exception):
    """A step that fails, or that this replay does not know; one message for people."""


class Image:
    """What the steps so far have made: folders under `root`, and how the container is started."""

    def __init__(self, context: Path, root: Path) -> None:
        self.root = root
        self.environment: dict[str, str] = {}
        self.arguments: dict[str, str] = {}
        self.workdir = root
        self.user = (0, 0)
        self.volumes: list[str] = []
        self.entrypoint: list[str] = []
        self.command: list[str] = []
        self.stop_signal = signal.SIGTERM
        self._context = context
        self._before_stages: dict[str, str] = {}
        self._stages: list[str] = []

    def replay(self, tell: Callable[[float, str], None]) -> None:
        """Carry out all steps, and tell each with its seconds.

        Raises:
            ReplayError: a step failed, or is of a kind or names a path that is not known here.
        """
        steps: list[dict[str, Any]] = DockerfileParser(str(self._context / "Dockerfile")).structure
        for step in steps:
            if step["instruction"] == "COMMENT":
                continue
            name, value = step["instruction"], " ".join(step["value"].split())
            start = time.monotonic()
            try:
                self._known(name)(value)
            except ReplayError as error:
                raise ReplayError(f"Dockerfile, line {step['startline'] + 1}: {name} {value}\n{error}") from error
            tell(time.monotonic() - start, f"{name} {value}")
        shutil.rmtree(self.root / "stages", ignore_errors=True)

    def _known(self, name: str) -> Callable[[str], None]:
        known: dict[str, Callable[[str], None]] = {
            "FROM": self._from,
            "ARG": self._arg,
            "ENV": self._env,
            "RUN": self._run,
            "COPY": self._copy,
            "WORKDIR": self._workdir,
            "USER": self._user,
            "VOLUME": self._volume,
            "STOPSIGNAL": self._stop_signal,
            "ENTRYPOINT": self._entrypoint,
            "CMD": self._cmd,
        }
        if name not in known:
            raise ReplayError(f"the replay does not know {name}: it knows {', '.join(known)}; teach it")
        return known[name]

    def real(self, text: str) -> str:
        """`text` with the image's paths replaced by the replay's.

        Raises:
            ReplayError: an absolute path that the replay has no folder for.
        """
        places = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, PLACES))})(?![\w-])")
        if strange := re.search(r"(?<![\w.:/])/[A-Za-z][\w/.-]*", places.sub("place", text)):
            raise ReplayError(f"the replay has no folder for {strange[0]!r}: it has {', '.join(PLACES)}; teach it")
        return places.sub(lambda found: f"{self.root}{found[0]}", text)

    def _from(self, value: str) -> None:
        self.arguments, self.environment, self.workdir = self._before_stages, {}, self.root
        image, _, stage = self._expanded(value).partition(" AS ")
        ours = f"{sys.version_info.major}.{sys.version_info.minor}"
        if image != f"python:{ours}-slim-bookworm":
            raise ReplayError(f"this is Python {ours}, which can't stand for {image}; run the replay with that Python")
        if not self._stages:
            _copy_python(self.root / "usr" / "local")
        else:
            self._put_away(self._stages[-1])
        self._stages.append(stage)
        self.arguments = {}
        self.environment = {"PATH": f"{self.root}/usr/local/bin:{SEARCHED}"}

    def _put_away(self, stage: str) -> None:
        away = self.root / "stages" / stage
        away.mkdir(parents=True)
        for path in list(self.root.iterdir()):
            if path.name not in ("usr", "stages"):
                path.rename(away / path.name)

    def _arg(self, value: str) -> None:
        name, _, default = value.partition("=")
        (self.arguments if self._stages else self._before_stages)[name] = self.real(default)

    def _env(self, value: str) -> None:
        for pair in shlex.split(value):
            name, separator, given = pair.partition("=")
            if not separator:
                raise ReplayError("the replay knows ENV NAME=VALUE … only")
            self.environment[name] = self._expanded(self.real(given))

    def _expanded(self, text: str) -> str:
        known = self.arguments | self.environment
        return re.sub(r"\$(?:{(\w+)}|(\w+))", lambda found: known.get(found[1] or found[2], ""), text)

    def _run(self, value: str) -> None:
        command = CACHE_MOUNT.sub("", value)
        if command.startswith("--"):
            raise ReplayError(f"the replay does not know {command.split()[0]}; teach it")
        if "useradd " not in command:
            self._shell(self.real(command))
            return
        for part in command.split(" && "):
            self._shell(shlex.join(self._for_accounts_of_its_own(shlex.split(self.real(part)))))

    def _for_accounts_of_its_own(self, words: list[str]) -> list[str]:
        """The image's accounts are no accounts of this machine; who is not root makes the folders only."""
        program, *rest = words
        if program == "useradd":
            home = str(self.root / "home" / rest[-1])
            (self.root / "etc").mkdir()
            for name in ("passwd", "group", "shadow", "gshadow"):
                (self.root / "etc" / name).touch()
            shutil.copy("/etc/login.defs", self.root / "etc")  # says that a user gets a group of its own
            return [program, "--prefix", str(self.root), *rest] if AS_ROOT else ["mkdir", "-p", home]
        if program == "install":
            owners = {number: rest[number + 1] for number, word in enumerate(rest) if word in ("-o", "-g")}
            for number, name in reversed(owners.items()):
                table = self.root / "etc" / ("passwd" if rest[number] == "-o" else "group")
                rest[number : number + 2] = [rest[number], _number_of(name, table)] if AS_ROOT else []
        return [program, *rest]

    def _shell(self, command: str) -> None:
        outside = ("PYTHON", "VIRTUAL_ENV", "MEDARTS_", "MLFLOW_", "OPTUNA_", "MAKE")
        own = {name: value for name, value in os.environ.items() if not name.startswith(outside)}
        environment = own | self.arguments | self.environment | self.libraries()
        together = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(["/bin/sh", "-c", command], cwd=self.workdir, env=environment, **together)
        if done.returncode != 0:
            raise ReplayError("\n".join([*done.stdout.splitlines()[-30:], f"exit code {done.returncode}"]))

    def libraries(self) -> dict[str, str]:
        """Where a shared libpython is found; the image's is known to its loader."""
        return {"LD_LIBRARY_PATH": str(self.root / "usr" / "local" / "lib")}

    def _copy(self, value: str) -> None:
        *sources, target = value.split()
        if sources[0].startswith("--from="):
            self._copy_from_stage(sources[0].removeprefix("--from="), sources[1:], target)
            return
        if sources[0].startswith("--"):
            raise ReplayError(f"the replay does not know {sources[0]}; teach it")
        ignored = (self._context / ".dockerignore").read_text(encoding="utf-8").splitlines()
        allowed = exclude_paths(str(self._context), [line for line in ignored if line and not line.startswith("#")])
        for source in sources:
            self._copy_file_or_folder(source, self.workdir / target, {Path(path) for path in allowed})

    def _copy_file_or_folder(self, source: str, target: Path, allowed: set[Path]) -> None:
        if Path(source) not in allowed:
            raise ReplayError(f"{source} is not there, or left out by .dockerignore")
        start = self._context / source
        if start.is_file():
            shutil.copy2(start, target)
            return
        for file in sorted(path for path in allowed if path.is_relative_to(source)):
            if (self._context / file).is_file():
                copy = target / file.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self._context / file, copy)

    def _copy_from_stage(self, stage: str, sources: list[str], target: str) -> None:
        if stage not in self._stages[:-1] or sources != [target]:
            raise ReplayError("the replay knows COPY --from=STAGE PATH of an earlier stage to the same PATH only")
        copy = Path(self.real(target))
        copy.parent.mkdir(parents=True, exist_ok=True)
        (self.root / "stages" / stage / target.lstrip("/")).rename(copy)

    def _workdir(self, value: str) -> None:
        self.workdir = Path(self.real(value))
        self.workdir.mkdir(parents=True, exist_ok=True)

    def _user(self, value: str) -> None:
        if not (numbers := re.fullmatch(r"(\d+):(\d+)", value)):
            raise ReplayError("the replay knows USER NUMBER:NUMBER only")
        self.user = (int(numbers[1]), int(numbers[2]))

    def _volume(self, value: str) -> None:
        self.volumes = [self.real(path) for path in json.loads(value)]

    def _stop_signal(self, value: str) -> None:
        self.stop_signal = signal.Signals[value]

    def _entrypoint(self, value: str) -> None:
        self.entrypoint = json.loads(value)

    def _cmd(self, value: str) -> None:
        self.command = json.loads(value)


def _copy_python(target: Path) -> None:
    """This interpreter with its standard library alone: the original may lie where others can't read."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    left_out = shutil.ignore_patterns("site-packages", "dist-packages", "test", "__pycache__", "config-*")
    base = {"base": sys.base_prefix, "installed_base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    stdlib = sysconfig.get_path("stdlib", vars=base)
    shutil.copytree(stdlib, target / "lib" / name, ignore=left_out, symlinks=True)
    for library in Path(sysconfig.get_config_var("LIBDIR") or "/none").glob(f"lib{name}.so*"):
        shutil.copy2(library, target / "lib")
    (target / "bin").mkdir()
    shutil.copy2(Path(sys.executable).resolve(), target / "bin" / name)
    for link in ("python3", "python"):
        (target / "bin" / link).symlink_to(name)


def _number_of(name: str, table: Path) -> str:
    entries = [line.split(":") for line in table.read_text(encoding="utf-8").splitlines()]
    return next(entry[2] for entry in entries if entry[0] == name)
