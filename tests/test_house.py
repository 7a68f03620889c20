"""The shape of the house: who may import whom, and what the core may not touch."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "autoloop"
MODULES = sorted(PACKAGE.rglob("*.py"))

EDGES = {"cli", "hud", "tui", "mcp", "daemon", "__main__"}
"""Parse, call api, render."""
JUDGING = {"loop", "carrier", "closing", "briefing", "suites", "finalize", "lessons", "report"}
"""Know protocols, not vendors."""
WIRING = {
    "api", "carrying", "cleaning", "confining", "creation", "starting", "validation", "differing", "demo",
    "comparing", "auditing", "stocktaking", "bench_stocktaking", "trying", "benching", "bench_planning", "preflight",
    "trialing", "trial_grounds", "worker",
}  # fmt: skip
"""Put both together."""
IMPURE = {"os", "sys", "time", "subprocess", "socket", "random", "shutil", "tempfile", "datetime", "signal"}


def room(module: str) -> str:
    """The first part of a module's name below the package."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def own_rooms(path: Path) -> set[str]:
    return {room(name) for name in imports(path) if name.startswith("autoloop.")}


@pytest.mark.parametrize("path", [p for p in MODULES if "core" in p.parts], ids=module_name)
def test_the_core_is_pure(path: Path) -> None:
    assert own_rooms(path) <= {"core"}
    outside = {name.split(".")[0] for name in imports(path)} & IMPURE | imports(path) & {"pathlib.Path"}
    assert not outside, f"{outside} in the core"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_arrows_point_at_what_may_be_imported(path: Path) -> None:
    here, there = room(module_name(path)), own_rooms(path) - {"", "errors"}
    if here in EDGES:
        assert there & (JUDGING | {"trees", "bench", "agents"}) == set(), "an edge calls api"
    elif here in JUDGING:
        assert there <= {"core", "ports"} | JUDGING, "the loop knows ports, not vendors"
    elif here == "ports":
        assert there <= {"core", "ports"}
    elif here not in WIRING | {"core", ""}:
        assert not there & (JUDGING | WIRING | EDGES), "an adapter never knows the loop"


def test_the_loop_stays_a_sentence() -> None:
    assert len((PACKAGE / "loop.py").read_text().splitlines()) < 200


@pytest.mark.parametrize("path", sorted((PACKAGE / "ports").glob("*.py")), ids=module_name)
def test_a_protocol_has_four_methods_at_most(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            methods = [item.name for item in node.body if isinstance(item, ast.FunctionDef)]
            assert len(methods) <= 4, node.name


def test_prompts_are_files() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert "You are " not in node.value[:40], f"a prompt inside {path.name}"


def test_the_exported_names_are_there_and_are_what_they_say() -> None:
    import autoloop

    for name in autoloop.__all__:
        assert getattr(autoloop, name).__name__ == name
    assert {"run", "results", "judge", "PairedRule", "Decision", "AutoloopError"} <= set(dir(autoloop))


def test_importing_the_package_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    heavy = ("pydantic", "numpy", "git", "anthropic", "typer")
    code = f"import autoloop, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
