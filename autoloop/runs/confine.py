"""The sandbox of a run: put together from the repository, the program and this machine, and tried out."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from autoloop.agents.profiles import load_settings
from autoloop.config.places import user_config
from autoloop.core.run.measurement import HOLDOUT, HOLDOUT_DATA
from autoloop.core.run.program import Measuring, Program, Scope
from autoloop.errors import AutoloopError
from autoloop.git.git_trees import GitTrees, TreeOptions
from autoloop.git.repository import is_tracked
from autoloop.measure.sampler import AUTOAUTO_DIAGNOSTICS
from autoloop.ports import Cell, Progress, Sandbox, Tier
from autoloop.runs.context import RunContext
from autoloop.runs.find import RUNS
from autoloop.runs.record import RunRecord
from autoloop.sandbox.bwrap import OBJECTS
from autoloop.sandbox.choose import WARNING, Choice, choose
from autoloop.sandbox.none import NoSandbox
from autoloop.sandbox.places import Places, chosen_path, survey

HOMES = "homes"
"""The directory beside the trees of a run that holds a private home for each."""
AGENT = "agent"


def sandbox_for(wanted: str, context: RunContext, program: Program | None) -> Choice:
    """The sandbox in force: the one that was chosen, or the best that passes its trial. An errand has no program."""
    context.cache.mkdir(parents=True, exist_ok=True)
    return choose(wanted, places_of(context, program), context.cache)


def sandbox_of_run(record: RunRecord, context: RunContext) -> Sandbox:
    """The sandbox that a run began with: with another its results would not compare. What it leaves open is said."""
    wanted = load_settings(context.root, context.environ, user_config(context.environ)).sandbox
    if wanted not in ("auto", record.sandbox):
        raise AutoloopError(
            f"run {record.run_id} began with sandbox {record.sandbox}, and the setting `sandbox` is {wanted} now",
            "Set it to what the run began with, or to auto; a new run takes the new setting.",
        )
    choice = sandbox_for(wanted, context, record.program)  # which knows why it is not a better one
    if record.sandbox == "none" != choice.sandbox.tier:
        better = f"{WARNING}. The run began so; a new one would have the sandbox {choice.sandbox.tier}"
        choice = Choice(NoSandbox(), better)
    elif choice.sandbox.tier != record.sandbox:
        choice = sandbox_for(record.sandbox, context, record.program)
    for text in cautions(choice, record.program):
        context.on_progress(Progress("warning", text=text))
    return choice.sandbox


def cautions(choice: Choice, program: Program) -> tuple[str, ...]:
    """Warnings about the sandbox in force."""
    tier, network = choice.sandbox.tier, program.measuring.measure_network
    said = [choice.warning] if choice.warning else []
    if (tier, network) == ("landlock", "off") or (tier != "bwrap" and network == "loopback"):
        unenforced = "measured code has the network of this machine"
        said.append(f'measure_network = "{network}" is not enforced with sandbox {tier}: {unenforced}')
    return tuple(said)


def places_of(context: RunContext, program: Program | None) -> Places:
    """The places of this machine that commands of this program find."""
    measuring, scope = (program.measuring, program.scope) if program else (Measuring(), Scope())
    repository = context.repository
    for text in measuring.read_paths:
        _require_apart(text, context)

    def in_trees(path: Path) -> bool:
        kept = any(path.is_relative_to(cached) for cached in scope.cache_paths)
        return kept or is_tracked(repository, path.as_posix())

    return survey(
        repository.root,
        repository.common_dir / "objects",
        context.cache,
        context.environ,
        share_paths=scope.share_paths,
        read_paths=measuring.read_paths,
        secret_paths=(*(_hidden(context, program) if program else ()), repository.root / RUNS),
        in_trees=in_trees,
    )


def _require_apart(text: str, context: RunContext) -> None:
    """Refuse to show paths that a sandbox is there to hide."""
    home, root = _home(context.environ).resolve(), context.root.resolve()
    path = chosen_path(root, home, text).resolve()
    if any(place.is_relative_to(path) for place in (root, home, context.cache.resolve())):
        said = f'read_paths has "{text}", which would show all that a sandbox hides'
        raise AutoloopError(said, "Name the parts that are needed.")
    if path.is_relative_to(root):
        said = f'read_paths has "{text}", which lies in the checkout, where trees have their own files'
        raise AutoloopError(said, "For what git does not have there is `share_paths`.")


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path.home())


def _hidden(context: RunContext, program: Program) -> Iterator[Path]:
    yield from withheld(context, program)
    yield from (context.root / program.directory / name for name in (HOLDOUT, HOLDOUT_DATA))


def withheld(context: RunContext, program: Program) -> tuple[Path, ...]:
    """The paths that only `holdout.sh` may read."""
    home = _home(context.environ)
    return tuple(chosen_path(context.root, home, path) for path in program.measuring.holdout_paths)


def tree_options(program: Program, tier: Tier) -> TreeOptions:
    """The tree settings that follow from a program and a tier."""
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
    """The cell of every session of a run, before its packet is added."""
    return Cell(
        tree=trees.path(AGENT),
        home=home / HOMES / AGENT,
        network="on",
        devices=program.measuring.devices,
    )
