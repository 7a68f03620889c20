"""The sandbox of a run: put together from the repository, the program and this machine, and tried out."""

from collections.abc import Mapping
from pathlib import Path

from autoloop.bench import AUTOAUTO_DIAGNOSTICS
from autoloop.core.program import Program
from autoloop.ports import Cell, Tier
from autoloop.repository import Repository
from autoloop.sandbox.bwrap import OBJECTS
from autoloop.sandbox.choosing import Choice, choose
from autoloop.sandbox.places import Places, chosen_path, survey
from autoloop.stores.runs import RUNS
from autoloop.trees import GitTrees, TreeOptions

HOMES = "homes"
"""Beside the trees of a run: a private home for each."""
AGENT = "agent"


def sandbox_for(
    wanted: str, repository: Repository, program: Program, cache: Path, environ: Mapping[str, str]
) -> Choice:
    """The sandbox in force: the one that was chosen, or the best that passes its trial."""
    cache.mkdir(parents=True, exist_ok=True)
    return choose(wanted, places_of(repository, program, cache, environ), cache)


def places_of(repository: Repository, program: Program, cache: Path, environ: Mapping[str, str]) -> Places:
    """What commands of this program find of the machine."""
    measuring = program.measuring
    runs = repository.root / RUNS
    return survey(
        repository.root,
        repository.common_dir / "objects",
        cache,
        environ,
        share_paths=program.scope.share_paths,
        read_paths=measuring.read_paths,
        secret_paths=(*withheld(repository, program, environ), runs),
    )


def withheld(repository: Repository, program: Program, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """What only `holdout.sh` can see."""
    home = Path(environ.get("HOME") or Path.home())
    return tuple(chosen_path(repository.root, home, path) for path in program.measuring.holdout_paths)


def tree_options(program: Program, tier: Tier) -> TreeOptions:
    """What a program wants of its trees."""
    scope = program.scope
    return TreeOptions(
        cache_paths=scope.cache_paths,
        share_paths=scope.share_paths,
        sparse=scope.sparse,
        max_candidate_mb=scope.max_candidate_mb,
        keep_out=(AUTOAUTO_DIAGNOSTICS,),
        bound=tier == "bwrap",
        objects=OBJECTS if tier == "bwrap" else None,
    )


def agents_cell(trees: GitTrees, home: Path, program: Program) -> Cell:
    """What every session of a run may reach."""
    return Cell(
        tree=trees.path(AGENT),
        home=home / HOMES / AGENT,
        network="on",
        devices=program.measuring.devices,
    )
