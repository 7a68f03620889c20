"""The plan of the house: which room may import which, what a room may hold, and what the core may not touch."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import autoloop

PACKAGE = Path(__file__).parent.parent / "autoloop"
ROOMS = (
    "errors", "core", "ports", "process", "journal", "host", "git", "config", "sandbox", "agents", "measure",
    "comparison", "runs suites", "activity", "cleanup report", "demo", "api", "hud", "cli",
)  # fmt: skip
"""From the ground up: an import may only go left. Rooms of one step never name each other."""
CORE_ROOMS = ("shared", "evidence", "run suite", "gaming validation notices")
"""The same within the core; modules of no room of their own are shared."""
LOOPS = ("loop", "steps", "night_end", "task", "regrade")
"""Modules of `runs` and `suites` that know protocols, and nothing of the world."""
PAIRED = ("create", "start", "resume", "loop", "directory", "record", "views", "find", "follow")
"""Names that mean the same job in `runs` and in `suites`."""
BY_PATH = ("sandbox/restrict.py", "suites/containers/exec.py", "suites/workspace/match.py")
"""Scripts that are run by their path and import nothing of the package."""
IMPURE = {"os", "sys", "time", "subprocess", "socket", "random", "shutil", "tempfile", "datetime", "signal"}
HEAVY = {
    "pydantic", "numpy", "typer", "rich", "jinja2", "anthropic", "optuna", "matplotlib", "git", "httpx", "websockets",
    "psutil", "filelock", "asyncio", "subprocess",
}  # fmt: skip
"""Libraries that cost more to import than `status` may take: what loads one may be imported where it is needed."""
MOST_IN_A_ROOM = 24
LONGEST_FUNCTION = 55
LONGEST_FILE = 480


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def targets(node: ast.AST) -> set[str]:
    """The modules that an import names; a name of a module is the module."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        found = {f"{node.module}.{alias.name}" for alias in node.names}
        return {name if name in MODULES else str(node.module) for name in found}
    return set()


@cache
def imports(module: str) -> frozenset[str]:
    """Whatever a module imports anywhere: at its top, in functions, and for type checkers."""
    return frozenset(name for node in ast.walk(tree(module)) for name in targets(node))


@cache
def named(module: str) -> frozenset[str]:
    """Every name that is imported from a module, with the module."""
    nodes = (node for node in ast.walk(tree(module)) if isinstance(node, ast.ImportFrom))
    return frozenset(f"{node.module}.{alias.name}" for node in nodes for alias in node.names)


def own(module: str) -> set[str]:
    return {name for name in imports(module) if name in MODULES and name != module}


def room(module: str) -> str:
    """The room of a module, or the module itself where it lies at the root."""
    return module.split(".")[1] if "." in module else "autoloop"


def core_room(module: str) -> str:
    part = module.split(".")[2] if module.count(".") >= 2 else ""
    return part if any(part in step.split() for step in CORE_ROOMS) else "shared"


def step(name: str, steps: tuple[str, ...]) -> int:
    return next(number for number, names in enumerate(steps) if name in names.split())


def functions(module: str) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef)]


# Arrows


def test_every_room_has_its_place() -> None:
    there = {room(module) for module in MODULES} - {"autoloop", "__main__"}
    assert there == {name for names in ROOMS for name in names.split()}


@pytest.mark.parametrize("module", [name for name in MODULES if name not in ("autoloop", "autoloop.__main__")])
def test_an_import_only_goes_left(module: str) -> None:
    here = room(module)
    for other in own(module):
        there = room(other)
        assert there == here or step(there, ROOMS) < step(here, ROOMS), f"{module} imports {other}"
        if here == there == "core":
            ours, theirs = core_room(module), core_room(other)
            assert ours == theirs or step(theirs, CORE_ROOMS) < step(ours, CORE_ROOMS), f"{module} imports {other}"


@pytest.mark.parametrize("module", [f"autoloop.{product}.{name}" for product in ("runs", "suites") for name in LOOPS])
def test_a_loop_knows_ports_and_no_vendors(module: str) -> None:
    siblings = {f"{module.rpartition('.')[0]}.{name}" for name in LOOPS}
    for other in own(module) if module in MODULES else ():
        assert room(other) in ("core", "ports", "errors") or other in siblings, f"{module} imports {other}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    left = {module: own(module) for module in MODULES if module not in ("autoloop", "autoloop.api")}
    while free := [module for module, names in left.items() if not names & left.keys()]:
        for module in free:
            del left[module]
    assert not left, f"in a circle, or above one: {sorted(left)}"


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) == "core"])
def test_the_core_is_pure(module: str) -> None:
    outside = {name.split(".")[0] for name in imports(module)} & IMPURE
    assert not outside, f"{outside} in the core"
    assert "pathlib.Path" not in named(module)


@cache
def loads(module: str) -> frozenset[str]:
    """The heavy libraries that importing a module loads."""
    seen, found, waiting = set[str](), set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in MODULES:
            waiting += [other for node in at_top(tree(name).body) for other in targets(node)]
            waiting += [name.rpartition(".")[0]] if "." in name else []
        elif name.split(".")[0] in HEAVY:
            found.add(name.split(".")[0])
    return frozenset(found)


def at_top(body: list[ast.stmt]) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            found += at_top(node.body)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.append(node)
    return found


@pytest.mark.parametrize("module", [name for name in MODULES if name not in ("autoloop.api", "autoloop.cli.app")])
def test_imports_stand_at_the_top_unless_they_load_something_heavy(module: str) -> None:
    for function in functions(module):
        for node in ast.walk(function):
            for name in targets(node):
                assert loads(name) - loads(module), f"{function.name} imports {name}"


# Rooms and files


def test_the_root_has_four_files() -> None:
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py", "api.py", "errors.py"}


def test_a_room_holds_about_twenty_modules() -> None:
    rooms = Counter(path.parent for path in MODULES.values())
    assert [place.name for place, count in rooms.items() if count > MOST_IN_A_ROOM] == []


@pytest.mark.parametrize("name", PAIRED)
def test_both_products_have_the_same_file_for_the_same_job(name: str) -> None:
    assert {f"autoloop.{product}.{name}" for product in ("runs", "suites")} <= MODULES.keys()


def test_no_room_has_the_name_of_a_function() -> None:
    """With a lazy `__getattr__`, the first `autoloop.run` would be the function and the second the package."""
    for module in pkgutil.walk_packages([str(PACKAGE)], "autoloop."):
        if (
            module.name != "autoloop.__main__"
            and module.name.removeprefix("autoloop.").replace(".", "/") + ".py" not in BY_PATH
        ):
            importlib.import_module(module.name)
    for name in autoloop.__all__:
        assert callable(getattr(autoloop, name)), name


def test_no_public_class_has_its_name_twice() -> None:
    names = Counter(
        node.name
        for module in MODULES
        for node in tree(module).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_functions_and_files_stay_short() -> None:
    long = [
        f"{module}.{function.name}"
        for module in MODULES
        for function in functions(module)
        if (function.end_lineno or 0) - function.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []
    assert [str(path) for path in MODULES.values() if len(path.read_text().splitlines()) > LONGEST_FILE] == []


def test_a_rooms_docstring_names_its_modules() -> None:
    for module, path in MODULES.items():
        if path.name == "__init__.py" and module != "autoloop":
            said = ast.get_docstring(tree(module)) or ""
            inside = [one.stem for one in path.parent.glob("*.py") if one.name != "__init__.py"]
            inside += [one.parent.name for one in path.parent.glob("*/__init__.py")]
            missing = [name for name in inside if f"`{name}`" not in said]
            assert not missing, f"{module} does not name {missing}"


# One place for each thing


STARTS = re.compile(
    r"Popen|subprocess\.(Popen|run|call|check_call|check_output|getoutput|getstatusoutput)"
    r"|os\.(fork|forkpty|posix_spawnp?|popen|system|spawn\w+|exec\w+)|pty\.\w+|multiprocessing\.\w+"
    r"|asyncio\.create_subprocess_\w+|(futures\.)?ProcessPoolExecutor"
)


def test_processes_start_in_one_room() -> None:
    """One room ends what it starts and knows what is no stray; a script that is run by its path has no rooms."""
    for module, path in MODULES.items():
        if room(module) != "process" and path.relative_to(PACKAGE).as_posix() not in BY_PATH:
            calls = {ast.unparse(node.func) for node in ast.walk(tree(module)) if isinstance(node, ast.Call)}
            taken = {name for name in named(module) if name.partition(".")[0] in ("subprocess", "os", "pty")}
            starts = {name for name in calls | taken if STARTS.fullmatch(name)}
            assert not starts, f"{module} starts processes: {starts}"


def test_a_percentage_is_formatted_in_one_module() -> None:
    for module in MODULES:
        if module != "autoloop.core.text":
            for node in ast.walk(tree(module)):
                if isinstance(node, ast.FormattedValue):
                    assert "100 *" not in ast.unparse(node.value) and "* 100" not in ast.unparse(node.value), module


# Shapes


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) == "ports"])
def test_a_protocol_has_four_methods_at_most(module: str) -> None:
    for node in tree(module).body:
        if isinstance(node, ast.ClassDef):
            methods = [item.name for item in node.body if isinstance(item, ast.FunctionDef)]
            assert len(methods) <= 4, node.name


def test_a_docstring_says_something() -> None:
    """Five words at least: one that is shorter leans on the line above, or says the name again."""
    short = []
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                said = ast.get_docstring(node)
                if said and len(said.split()) < 5:
                    short.append(f"{module}: {said}")
    assert short == []


def test_prompts_are_files() -> None:
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert "You are " not in node.value[:40], f"a prompt inside {module}"


def test_a_pass_rate_is_divided_in_one_place() -> None:
    for module in MODULES:
        if module != "autoloop.core.evidence.trials":
            for node in ast.walk(tree(module)):
                if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                    divided = set(re.findall(r"\w+", ast.unparse(node.left)))
                    assert not divided & {"passed", "PASS"}, f"{module}: {ast.unparse(node)}"


def test_the_exported_names_are_there_and_are_what_they_say() -> None:
    for name in autoloop.__all__:
        assert getattr(autoloop, name).__name__ == name
    assert {"run", "results", "judge", "PairedRule", "Decision", "AutoloopError"} <= set(dir(autoloop))


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("pydantic", "numpy", "git", "anthropic", "typer")
    code = f"import autoloop, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
