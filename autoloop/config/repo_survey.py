"""What a repository holds, read as a plan for its first program. It looks at files and runs nothing."""

import json
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

_NOT_PACKAGES = ("tests", "test", "docs", "doc", "examples", "benchmarks", "scripts", "tools", "build", "dist")
_SHEBANG = "#!/usr/bin/env bash\nset -euo pipefail\n"
_TEN_MINUTES = 600_000


@dataclass(frozen=True)
class ScaffoldPlan:
    """A program to write: what it measures and what that needs."""

    slug: str
    metric: str
    what: str
    """The thing measured, as the end of a sentence."""
    command: str
    """The measured command, as words of bash."""
    setup: str = ""
    """Lines of bash before the command."""
    python: str = "python3"
    """The word of bash that runs the clock."""
    runs: int = 5
    timeout: int = 60_000
    editable: tuple[str, ...] = ("**",)
    protected: tuple[str, ...] = ()
    cache_paths: tuple[str, ...] = ()
    share_paths: tuple[str, ...] = ()
    scripts: dict[str, str] = field(default_factory=dict)
    """Further scripts by name, each with its text."""
    notes: tuple[str, ...] = ()
    """What the person should look at, one sentence each."""


def survey(root: Path) -> ScaffoldPlan:
    """The plan for what the repository is first and foremost; an empty command when nobody can tell."""
    plans = [plan for look in _LOOKS if (plan := look(root)) is not None]
    if not plans:
        return ScaffoldPlan("speed", "wall_ms", "how long the command takes", "", notes=(_NOTHING_FOUND,))
    first = plans[0]
    others = tuple(f"Also possible here: {plan.what}." for plan in plans[1:])
    tests = tuple(f"{name}/**" for name in ("tests", "test") if (root / name).is_dir())
    return replace(first, protected=(*first.protected, *tests), notes=first.notes + others)


_IMPORT_IS_A_START = "Importing is a safe start; the command that your users wait for is a better one."
_NO_PYTEST = "The tests guard nothing yet: pytest is not installed here, so no checks.sh was written."
_NOTHING_FOUND = "Nothing here says what to measure: put your command into COMMAND of measure.sh."


def _python(root: Path) -> ScaffoldPlan | None:
    if not any((root / name).is_file() for name in ("pyproject.toml", "setup.py", "setup.cfg")):
        return None
    modules = list(_python_modules(root))
    if not modules:
        return None
    wanted = _project_name(root)
    module = next((path for path in modules if _plain_name(path.stem) == wanted), modules[0])
    source = "src" if module.parent != root else ""
    venv = next((name for name in (".venv", "venv") if (root / name / "bin/python").exists()), "")
    setup = [f"python={venv}/bin/python" if venv else "python=python3"]
    setup.append(f'export PYTHONPATH="$PWD{"/" + source if source else ""}" # the tree, before anything installed')
    relative = module.relative_to(root).as_posix()
    tests = next((name for name in ("tests", "test") if (root / name).is_dir()), "")
    checks = "\n".join((*setup, f'"$python" -m pytest -q -x -p no:cacheprovider {tests}', ""))
    checked = bool(tests) and any((root / tests).rglob("test_*.py"))
    testable = checked and _has_pytest(root / venv if venv else None)
    return ScaffoldPlan(
        slug="import-time",
        metric="import_ms",
        what=f"how long `import {module.stem}` takes in a fresh process",
        command=f'"$python" -c "import {module.stem}"',
        setup="\n".join(setup),
        python='"$python"',
        runs=15,
        editable=(relative if module.suffix else f"{relative}/**",),
        share_paths=(venv,) if venv else (),
        scripts={"checks.sh": _SHEBANG + checks} if testable else {},
        notes=(_IMPORT_IS_A_START, *((_NO_PYTEST,) if checked and not testable else ())),
    )


def _python_modules(root: Path) -> Iterator[Path]:
    """Importable packages, then modules, those below `src` first."""
    for place in (root / "src", root):
        for init in sorted(place.glob("*/__init__.py")):
            if init.parent.name.isidentifier() and init.parent.name not in _NOT_PACKAGES:
                yield init.parent
    for place in (root / "src", root):
        for module in sorted(place.glob("*.py")):
            if module.stem.isidentifier() and module.stem not in ("setup", "conftest", "noxfile", "tasks"):
                yield module


def _has_pytest(venv: Path | None) -> bool:
    if venv is None:
        return shutil.which("pytest") is not None
    return any(venv.glob("lib/python*/site-packages/pytest"))


def _project_name(root: Path) -> str:
    project = _table(root / "pyproject.toml", tomllib.loads).get("project")
    return _plain_name(str(project.get("name", ""))) if isinstance(project, dict) else ""


def _plain_name(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


def _npm(root: Path) -> ScaffoldPlan | None:
    if not (root / "package.json").is_file():
        return None
    scripts = _table(root / "package.json", json.loads).get("scripts")
    known = scripts if isinstance(scripts, dict) else {}
    script = next((name for name in ("bench", "benchmark", "test", "build") if name in known), "")
    installs = {
        "pnpm-lock.yaml": "pnpm install --frozen-lockfile",
        "yarn.lock": "yarn install --frozen-lockfile",
        "package-lock.json": "npm ci",
    }
    install = next((text for lock, text in installs.items() if (root / lock).is_file()), "npm install")
    return ScaffoldPlan(
        slug=f"npm-{script}" if script else "npm-speed",
        metric=f"{script or 'wall'}_ms",
        what=f"how long `npm run {script}` takes" if script else "how long the command takes",
        command=f"npm run --silent {script}" if script else "",
        runs=3,
        timeout=_TEN_MINUTES,
        cache_paths=("node_modules",),
        protected=("package.json", "package-lock.json"),
        scripts={"prepare.sh": f"{_SHEBANG}{install}\n"},
        notes=() if script else ("package.json has no bench, test or build script: fill in COMMAND.",),
    )


def _cargo(root: Path) -> ScaffoldPlan | None:
    if not (root / "Cargo.toml").is_file():
        return None
    package = _table(root / "Cargo.toml", tomllib.loads).get("package")
    name = str(package.get("name", "")) if isinstance(package, dict) else ""
    is_program = bool(name) and (root / "src/main.rs").is_file()
    if is_program:
        command, what, build = f"target/release/{name}", f"how long `{name}` runs", "cargo build --release"
    elif (root / "benches").is_dir():
        command, what, build = "cargo bench", "how long the benchmarks take", "cargo bench --no-run"
    else:
        command, what = "cargo test --release --quiet", "how long the tests take"
        build = "cargo test --release --no-run"
    return ScaffoldPlan(
        slug="speed",
        metric="wall_ms",
        what=what,
        command=command,
        timeout=_TEN_MINUTES,
        protected=("Cargo.lock",) if (root / "Cargo.lock").is_file() else (),
        cache_paths=("target",),
        scripts={"prepare.sh": f"{_SHEBANG}cargo fetch\n", "build.sh": f"{_SHEBANG}{build}\n"},
        notes=(f"Give {name} the arguments of a typical use, in COMMAND.",) if is_program else (),
    )


def _go(root: Path) -> ScaffoldPlan | None:
    if not (root / "go.mod").is_file():
        return None
    bench = any("func Benchmark" in _text(file) for file in sorted(root.rglob("*_test.go"))[:200])
    return ScaffoldPlan(
        slug="benchmarks" if bench else "test-time",
        metric="wall_ms",
        what="how long the benchmarks take" if bench else "how long the tests take",
        command="go test -run '^$' -bench . ./..." if bench else "go test -count=1 ./...",
        runs=3,
        timeout=_TEN_MINUTES,
        protected=("**/*_test.go",),
        scripts={"build.sh": f"{_SHEBANG}go build ./...\n"},
    )


def _cmake(root: Path) -> ScaffoldPlan | None:
    text = _text(root / "CMakeLists.txt")
    if not text:
        return None
    taken = (root / "build").exists() and not (root / "build/CMakeCache.txt").is_file()
    build = "build-autoloop" if taken else "build"
    target = re.search(r"add_executable\s*\(\s*([\w.-]+)", text)
    tests = re.search(r"enable_testing\s*\(|include\s*\(\s*CTest", text)
    command = f"ctest --test-dir {build}" if tests else f"{build}/{target[1]}" if target else ""
    named = "the tests take" if tests else f"`{target[1]}` runs" if target else "the command takes"
    make = (
        f"cmake -S . -B {build} -DCMAKE_BUILD_TYPE=Release\n"
        f'cmake --build {build} --parallel "$(getconf _NPROCESSORS_ONLN)"\n'
    )
    return ScaffoldPlan(
        slug="speed",
        metric="wall_ms",
        what=f"how long {named}",
        command=command,
        timeout=_TEN_MINUTES,
        cache_paths=(build,),
        scripts={"build.sh": _SHEBANG + make},
        notes=() if command else (_NOTHING_FOUND,),
    )


def _make(root: Path) -> ScaffoldPlan | None:
    text = _text(root / "Makefile") or _text(root / "makefile")
    targets = re.findall(r"^([\w-]+)\s*:(?!=)", text, re.MULTILINE)
    target = next((name for name in ("bench", "benchmark", "test", "check") if name in targets), "")
    if not target:
        return None
    return ScaffoldPlan(
        slug=f"make-{target}",
        metric="wall_ms",
        what=f"how long `make {target}` takes",
        command=f"make -s {target}",
        runs=3,
        timeout=_TEN_MINUTES,
        protected=("Makefile",),
        scripts={"build.sh": f"{_SHEBANG}make\n"},
    )


_LOOKS: tuple[Callable[[Path], ScaffoldPlan | None], ...] = (_python, _npm, _cargo, _go, _cmake, _make)


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def _table(file: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    try:
        found = parse(_text(file))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
