"""Asks the format's own package, on its own Python: `answers.py KIND` reads questions from standard input as JSON.

Nothing of autoloop is imported. Questions of the package's inside go to the version that `installing.py` names.
"""

import json
import logging
import os
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harbor.models.task.config import MultiStepRewardStrategy, StepConfig, TaskConfig
from harbor.models.task.task import Task, strip_canary
from harbor.models.task.verifier_mode import resolve_step_verifier_mode, resolve_task_verifier_mode
from harbor.models.trial.config import AgentConfig, EnvironmentConfig, VerifierConfig
from harbor.models.verifier.result import VerifierResult
from harbor.trial.multi_step import MultiStepTrial
from harbor.trial.network_policy import resolve_trial_network_plan
from harbor.trial.trial import Trial
from harbor.utils.env import resolve_env_vars
from harbor.utils.trajectory_validator import TrajectoryValidator
from harbor.verifier.verifier import Verifier


def task(text: str) -> dict[str, Any]:
    """What it reads in a `task.toml`, resolved step by step; or why it refuses it."""
    try:
        config = TaskConfig.model_validate_toml(text)
    except ValueError as error:
        return {"refused": str(error)}
    steps = config.steps or [None]
    return {
        "steps": [_step(config, step) for step in steps],
        "counts": (config.multi_step_reward_strategy or MultiStepRewardStrategy.MEAN).value,
        "env": config.environment.env,
        "solution_env": config.solution.env,
        "build_timeout": config.environment.build_timeout_sec,
        "workdir": config.environment.workdir,
        "limits": [config.environment.cpus, config.environment.memory_mb, config.environment.storage_mb],
        "os": config.environment.os.value,
        "keywords": config.task.keywords if config.task else [],
    }


def _step(config: TaskConfig, step: StepConfig | None) -> dict[str, Any]:
    mode = resolve_step_verifier_mode(config, step) if step else resolve_task_verifier_mode(config)
    plan = resolve_trial_network_plan(
        config, AgentConfig(), EnvironmentConfig(), VerifierConfig(), step, verifier_mode=mode
    )
    own = SimpleNamespace(agent=step.agent, verifier=step.verifier) if step else config
    first = [own, config]
    return {
        "name": step.name if step else "",
        "min_reward": step.min_reward if step else None,
        "agent_timeout": next((part.agent.timeout_sec for part in first if part.agent.timeout_sec is not None), None),
        "verifier_timeout": own.verifier.timeout_sec,
        "verifier_env": {**config.verifier.env, **own.verifier.env},
        "users": [
            next((user for part in first if (user := getattr(part, role).user) is not None), None)
            for role in ("agent", "verifier")
        ],
        "networks": [plan.agent_phase.network_mode.value, plan.verifier_phase.network_mode.value],
        "mode": mode.value,
    }


def directory(path: str) -> str:
    """Why a task directory is none; empty when it is one."""
    try:
        Task(path)
    except (OSError, ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def reward(files: dict[str, str]) -> dict[str, float] | None:
    """What it reads in the files of a verifier; None where that is an error."""
    with tempfile.TemporaryDirectory() as folder:
        paths = SimpleNamespace(
            reward_json_path=Path(folder) / "reward.json", reward_text_path=Path(folder) / "reward.txt"
        )
        for name, text in files.items():
            (Path(folder) / name).write_text(text)
        verifier: Any = SimpleNamespace(trial_paths=paths)
        try:
            if paths.reward_json_path.exists():
                found = Verifier._parse_reward_json(verifier)
            else:
                found = Verifier._parse_reward_text(verifier)
            return VerifierResult(rewards=found).rewards
        except Exception:
            return None


def combined(asked: dict[str, Any]) -> dict[str, float]:
    """The rewards of a trial, by name, from those of its steps."""
    results = [SimpleNamespace(verifier_result=VerifierResult(rewards=rewards)) for rewards in asked["rewards"]]
    strategy = MultiStepRewardStrategy(asked["counts"])
    trial: Any = SimpleNamespace(
        result=SimpleNamespace(step_results=results),
        task=SimpleNamespace(config=SimpleNamespace(multi_step_reward_strategy=strategy)),
    )
    trial._aggregate_step_rewards = partial(Trial._aggregate_step_rewards, trial)
    return Trial._select_multi_step_reward(trial).rewards


def goes_on(asked: dict[str, Any]) -> bool:
    """Whether a step's rewards let the steps behind it begin."""
    return asked["least"] is None or MultiStepTrial._min_reward_failure(asked["rewards"], asked["least"]) is None


def value(asked: dict[str, Any]) -> str | None:
    """What a value of a table `env` stands for; None where its variable is not set."""
    os.environ.clear()
    os.environ.update(asked["environ"])
    try:
        return resolve_env_vars({"it": asked["text"]})["it"]
    except ValueError:
        return None


def trajectory(document: dict[str, Any]) -> list[str]:
    """What is wrong with one."""
    validator = TrajectoryValidator()
    validator.validate(document)
    return validator.get_errors()


KINDS = {
    "task": task, "directory": directory, "reward": reward, "combined": combined, "goes_on": goes_on,
    "trajectory": trajectory, "instruction": strip_canary, "value": value,
}  # fmt: skip

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    print(json.dumps([KINDS[sys.argv[1]](question) for question in json.load(sys.stdin)]))
