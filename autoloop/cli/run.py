"""`run`: the loop. Parse, one call of `api`, an exit code.

Only typer and the standard library are loaded here.
"""

import os

import typer

from autoloop.cli import options


def run(
    context: typer.Context,
    slug: options.Slug,
    agent: options.Agent = None,
    max_experiments: options.MaxExperiments = None,
    max_hours: options.MaxHours = None,
    max_cost_usd: options.MaxCost = None,
    max_tokens: options.MaxTokens = None,
    target: options.Target = None,
    rule: options.Rule = None,
    seed: options.Seed = None,
    ollama_endpoint: options.OllamaEndpoint = None,
    detach: options.Detach = False,
    resume: options.Resume = False,
    run: options.ResumedRun = None,
    watch: options.Watch = False,
    notify: options.Notify = None,
    notify_each: options.NotifyEach = False,
    json: options.Json = False,
) -> None:
    """Run the loop: propose, measure, keep or discard. It goes on until there is a reason to stop.

    Your checkout is not touched: what is kept is on a branch of its own. Ctrl-C finishes the experiment in
    progress, a second one cuts it short. Limits that are not given come from the program.

    Exit codes: 0 something was kept, 2 something you can fix, 3 nothing was kept, 130 interrupted.
    """
    from autoloop.api import RunOptions
    from autoloop.cli.noticing import Notify
    from autoloop.cli.running import Wanted, run_loop

    if ollama_endpoint:
        os.environ["OLLAMA_ENDPOINT"] = ollama_endpoint
    given = limits_given(max_experiments, max_hours, max_cost_usd, max_tokens, target)
    chosen = RunOptions(agent, given, rule, seed)
    wanted = Wanted(slug, chosen, resume=resume, run=run, detach=detach, json=json, watch=watch)
    raise typer.Exit(run_loop(context.obj, wanted, Notify(notify, notify_each)))


def limits_given(
    max_experiments: int | None,
    max_hours: float | None,
    max_cost_usd: float | None,
    max_tokens: int | None,
    target: float | None,
) -> dict[str, int | float]:
    """The limits that were typed, by the names that a program gives them."""
    return {name: value for name, value in locals().items() if value is not None}
