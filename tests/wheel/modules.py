"""For a Python that has the package installed: import all of it, and print what came of that as JSON."""

import importlib
import json
import pkgutil
import sys

import autoloop


def absent(module: str) -> str:
    """The package that a module needs and that is not installed; empty where it can be imported."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        return (error.name or "").partition(".")[0]
    return ""


for name in autoloop.__all__:
    getattr(autoloop, name)
found = ["autoloop", *(module.name for module in pkgutil.walk_packages(autoloop.__path__, "autoloop."))]
missing = {module: absent(module) for module in found}
print(json.dumps({"absent": missing, "place": autoloop.__path__[0], "path": sys.path}))
