"""Engine, storage and strategies never load the terminal libraries, by whatever road an import takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import importlib, pkgutil, sys, warnings
warnings.simplefilter("ignore")
root = importlib.import_module(sys.argv[1])
names = [root.__name__]
for module in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
    if ".migrations." not in module.name:
        names.append(module.name)
        importlib.import_module(module.name)
loaded = sorted({name.partition(".")[0] for name in sys.modules})
print(len(names), *loaded)
"""


@pytest.mark.parametrize("package", ["engine", "storage", "strategies"])
def test_importing_every_module_loads_no_terminal_library(package: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, package], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, *loaded = done.stdout.split()
    assert int(count) >= 2
    assert not {"textual", "rich", "console", "screens", "widgets", "themes"} & set(loaded)
