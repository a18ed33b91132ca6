"""Write pip's resolution report as a lock file: `python lock.py REPORT LOCK`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

HEADER = "# Exact versions for Python 3.11 on Linux, written by `make lock`. The Docker image installs these.\n"


def main(report: Path, lock: Path) -> None:
    """One `name==version` line for each distribution but the project itself."""
    installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    pins = [f"{item['metadata']['name']}=={item['metadata']['version']}" for item in installed]
    lines = sorted((pin for pin in pins if not pin.startswith("medarts-ops==")), key=str.casefold)
    lock.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
