"""Write pip's resolution report as a lock file: `python lock.py REPORT LOCK`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

PYTHON = "3.11"
PLATFORM = "linux"
HEADER = f"# Exact versions for Python {PYTHON} on Linux, written by `make lock`. The Docker image installs these.\n"


def main(report: Path, lock: Path) -> None:
    """One `name==version` line for each distribution but the project itself.

    Raises:
        SystemExit: the report was made elsewhere than the image runs, where other versions may have been chosen.
    """
    found = json.loads(report.read_text(encoding="utf-8"))
    made_on = (found["environment"]["python_version"], found["environment"]["sys_platform"])
    if made_on != (PYTHON, PLATFORM):
        sys.exit(f"this is Python {made_on[0]} on {made_on[1]}: the image has {PYTHON} on {PLATFORM}; set VENV= to one")
    pins = [f"{item['metadata']['name']}=={item['metadata']['version']}" for item in found["install"]]
    lines = sorted((pin for pin in pins if not pin.startswith("medarts-ops==")), key=str.casefold)
    lock.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
