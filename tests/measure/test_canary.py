"""The canary: what looks at something else than the tree it runs in is refused, and the likely cause is named."""

import sys
from pathlib import Path

import pytest

from autoloop.errors import AutoloopError
from autoloop.measure.canary import linked_environments
from tests.real_git import commit_all, write
from tests.real_run import Checkout

SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
PACKAGE = {"src/gauge/__init__.py": "X = 100\n", ".gitignore": ".venv\nnode_modules\n"}


@pytest.fixture
def package(checkout: Checkout) -> Checkout:
    """A package in `src`, installed into `.venv` so that edits count: by a path that leads to the checkout."""
    (checkout.root / "code.py").unlink()
    write(checkout.root, PACKAGE)
    packages = checkout.root / ".venv" / SITE
    write(packages, {"__editable__.gauge.pth": f"{checkout.root}/src\n"})
    (checkout.root / ".venv/bin").mkdir()
    (checkout.root / ".venv/bin/python").symlink_to(sys.executable)
    write(checkout.root / ".venv", {"pyvenv.cfg": f"home = {Path(sys.base_prefix) / 'bin'}\n"})
    checkout.configure(share_paths=[".venv"], editable=["src/**"], max_experiments=1)
    checkout.script("measure.sh", ".venv/bin/python -c 'import gauge; print(\"METRIC ms =\", gauge.X)'\n")
    checkout.agent("echo X = 90 > src/gauge/__init__.py")
    commit_all(checkout.root)
    return checkout


def refused(checkout: Checkout) -> AutoloopError:
    with pytest.raises(AutoloopError) as error:
        checkout.run()
    assert checkout.refs() == {}
    return error.value


def test_an_editable_install_that_leads_to_the_checkout_is_refused_and_named(package: Checkout) -> None:
    error = refused(package)
    assert "seems to look at your checkout" in error.message
    assert "__editable__.gauge.pth" in error.hint and "PYTHONPATH=src" in error.hint


def test_the_trees_own_files_first_passes(package: Checkout) -> None:
    package.script("measure.sh", "PYTHONPATH=src .venv/bin/python -c 'import gauge; print(\"METRIC ms =\", gauge.X)'\n")
    package.run()
    assert package.reasons == ["improved"]


def test_a_missing_entry_point_cannot_pass_for_a_missing_dependency(package: Checkout) -> None:
    """The script's own file is editable: without it nothing runs, though what it imports comes from the checkout."""
    write(package.root, {"src/bench.py": "import gauge; print('METRIC ms =', gauge.X)\n"})
    package.script("measure.sh", ".venv/bin/python - < src/bench.py\n")
    commit_all(package.root)
    assert "seems to look at your checkout" in refused(package).message


def test_a_program_of_one_file_passes(checkout: Checkout) -> None:
    checkout.agent("echo 'x = 90' > code.py")
    checkout.run(limits={"max_experiments": 1})
    assert checkout.reasons == ["improved"]


def test_a_script_that_names_the_checkout_is_refused_and_named(checkout: Checkout) -> None:
    checkout.script("measure.sh", f"cd {checkout.root}\nread -r _ _ x < code.py; echo METRIC ms=$x\n")
    error = refused(checkout)
    assert "does not depend on the editable files" in error.message
    assert f"names {checkout.root}" in error.hint


def test_a_scope_that_holds_nothing_measured_is_refused(checkout: Checkout) -> None:
    (checkout.root / "docs").mkdir()
    (checkout.root / "docs/guide.md").write_text("read me\n")
    commit_all(checkout.root)
    checkout.configure(editable=["docs/**"])
    assert "`editable` names the code that it measures" in refused(checkout).hint


def test_a_scope_that_matches_no_file_is_called_that(checkout: Checkout) -> None:
    checkout.configure(editable=["nowhere.py"])
    assert "`editable` matches no file" in refused(checkout).message


def test_a_measurement_of_noise_alone_is_refused(checkout: Checkout) -> None:
    checkout.script("measure.sh", "echo METRIC ms=$((1000 + RANDOM % 100))\n")
    assert "does not depend on the editable files" in refused(checkout).message


def test_a_metric_that_worsens_without_the_files_passes(checkout: Checkout) -> None:
    """A measurement need not fail: a score of 0 is enough."""
    checkout.configure(direction="higher")
    checkout.script("measure.sh", "x=0; [ -e code.py ] && read -r _ _ x < code.py; echo METRIC ms=$x\n")
    checkout.agent("echo 'x = 120' > code.py")
    checkout.run(limits={"max_experiments": 1})
    assert checkout.reasons == ["improved"]


def test_the_canary_can_be_told_to_be_silent(checkout: Checkout) -> None:
    checkout.configure(canary=False, max_experiments=1)
    checkout.script("measure.sh", "echo METRIC ms=5\n")
    checkout.agent("echo '# other' >> code.py")
    checkout.run()
    assert checkout.reasons == ["within_noise"]


def test_the_canary_is_asked_once_a_run(checkout: Checkout) -> None:
    checkout.run(limits={"max_experiments": 1})
    checkout.resume(limits={"max_experiments": 2})
    assert len(checkout.said("canary")) == 1


def test_it_leaves_the_code_that_is_measured_whole(checkout: Checkout) -> None:
    checkout.run(limits={"max_experiments": 1})
    assert checkout.row(0).metric == 100


# Links


def test_links_of_environments_and_workspaces_are_found(checkout: Checkout) -> None:
    root = checkout.root
    write(root, {"packages/lib/index.js": "", "node_modules/left-pad/index.js": ""})
    (root / "node_modules/lib").symlink_to("../packages/lib")
    (root / "node_modules/@scope").mkdir()
    (root / "node_modules/@scope/lib").symlink_to(root / "packages/lib")
    (root / "node_modules/.bin").symlink_to("left-pad")
    write(root / ".venv" / SITE, {"easy-install.pth": f"{root}/packages\n", "other.pth": "/elsewhere\n"})
    found = {link.path.relative_to(root).as_posix(): link.target for link in linked_environments(root, (), {})}
    assert found == {
        f".venv/{SITE}/easy-install.pth": f"{root}/packages",
        "node_modules/@scope/lib": f"{root}/packages/lib",
        "node_modules/lib": f"{root}/packages/lib",
    }


def test_an_active_environment_elsewhere_is_looked_at(checkout: Checkout, tmp_path: Path) -> None:
    write(tmp_path / "env" / SITE, {"__editable__.p.pth": f"{checkout.root}/src"})
    write(tmp_path / "env" / SITE, {"__editable__.q.pth": f"{checkout.root}-other/src"})
    links = linked_environments(checkout.root, (), {"VIRTUAL_ENV": str(tmp_path / "env")})
    assert [link.path.name for link in links] == ["__editable__.p.pth"]
