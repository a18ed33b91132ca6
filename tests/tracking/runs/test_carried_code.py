"""The code that a model carries along: all that it needs of this package, and nothing that asks for the package."""

from __future__ import annotations

import ast
import subprocess
import sys

from medarts_ops.tracking.runs.carried_code import carry


def test_a_model_s_code_is_imported_where_this_package_is_not(tmp_path):
    carry("medarts_ops.export.photo_model", tmp_path)
    code = (
        "import sys\n"
        "import medarts_photos.export.photo_model as carried\n"
        "assert carried.PhotoModel and not [name for name in sys.modules if name.startswith('medarts_ops')]\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)


def test_it_has_no_import_of_the_package_left(tmp_path):
    root = carry("medarts_ops.export.photo_model", tmp_path)
    files = list(root.rglob("*.py"))
    assert root / "data" / "image_files.py" in files and len(files) < 20  # not the package as a whole
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and str(node.module).startswith("medarts_ops"))
