"""An npm workspace: `node_modules` holds a link to each of the repository's own packages."""

import json
from pathlib import Path

import pytest

from autoloop.core.run.reasons import Reason
from tests.real_git import commit_all, git, write
from tests.repos.strange import Strange, fetch, need

pytestmark = pytest.mark.repos

ROOT = {"name": "works", "private": True, "workspaces": ["packages/*"], "dependencies": {"ms": "2.1.3"}}
GAUGE = {"name": "@works/gauge", "version": "1.0.0", "main": "index.js"}
BENCH = """\
const ms = require("ms");  // a dependency from the registry
console.log(JSON.stringify({ score: require("@works/gauge").score() * ms("1s") / 1000 }));
"""
BETTER = "echo 'exports.score = () => 20;' > packages/gauge/index.js\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Strange:
    need("node", "npm")
    root = tmp_path / "works"
    write(
        root,
        {
            "package.json": json.dumps(ROOT),
            "packages/gauge/package.json": json.dumps(GAUGE),
            "packages/gauge/index.js": "exports.score = () => 10;\n",
            "bench.js": BENCH,
            ".gitignore": "node_modules/\n",
        },
    )
    git(root, "init", "--quiet")
    fetch(["npm", "install", "--no-audit", "--no-fund"], root, "the npm registry")
    assert (root / "node_modules/@works/gauge").is_symlink()
    commit_all(root)
    return Strange(root)


@pytest.mark.parametrize("install", ["npm ci", "npm install"])
def test_node_modules_of_each_trees_own_are_the_right_setting(workspace: Strange, install: str) -> None:
    prepare = f"{install} --prefer-offline --no-audit --no-fund\n"
    workspace.program({"measure.sh": "node bench.js\n", "prepare.sh": prepare}, 'cache_paths = ["node_modules"]\n')
    workspace.run(BETTER)
    assert workspace.decided(Reason.IMPROVED).metric == 20


@pytest.mark.parametrize("editable", ['["packages/**"]', '["**"]'])
def test_shared_node_modules_are_refused_and_the_link_is_named(workspace: Strange, editable: str) -> None:
    config = f'share_paths = ["node_modules"]\neditable = {editable}\n'
    workspace.program({"measure.sh": "node bench.js\n"}, config)
    said = workspace.refused()
    assert "node_modules/@works/gauge leads to" in said
    assert "npm ci" in said
    assert "cache_paths" in said


def test_without_node_modules_the_failure_is_shown(workspace: Strange) -> None:
    workspace.program({"measure.sh": "node bench.js\n"})
    assert "cannot be measured" in workspace.refused()
