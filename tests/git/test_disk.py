"""What a run may hold on the disk, and what keeps it from growing."""

import os
from pathlib import Path

from autoloop import api
from autoloop.git.inspection import MOST_FILES
from autoloop.measure.scripts import forget_old_samples
from autoloop.ports import Progress
from autoloop.runs.calibrations import Calibrations, outdated
from tests.real_git import Case, kinds, write
from tests.real_run import Checkout
from tests.runs.test_calibrations import PROGRAM, calibrated


def scratch_of(checkout: Checkout) -> set[str]:
    return {path.name for path in (checkout.cache / checkout.directory.run_id / "scratch").iterdir()}


def cut_short(checkout: Checkout, experiment: int) -> None:
    """Go on with a run until one experiment is measured, and cut that short."""

    def on_progress(sign: Progress) -> None:
        if (sign.phase, sign.experiment) == ("measuring", experiment):
            api.stop(checkout.root, now=True)

    carry = checkout.resume if api.look(checkout.root).runs else checkout.run
    assert carry(on_progress=on_progress).summary.stop_reason == "aborted"


def test_samples_that_were_cut_short_do_not_pile_up(checkout: Checkout) -> None:
    checkout.configure(max_experiments=9, canary=False)
    checkout.agent('echo "x = $((100 - 10 * n))" > code.py')
    checkout.measure('[ "$x" = 100 ] || sleep 10', 'echo "METRIC ms=$x"')
    for experiment in (1, 2, 3):
        cut_short(checkout, experiment)
    assert checkout.reasons == ["interrupted"] * 3
    assert scratch_of(checkout) == {"2-candidate-0-measure.sh", "3-candidate-0-measure.sh"}


def test_only_the_newest_sample_that_was_cut_short_keeps_its_directory(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    write(
        scratch, {f"{key}/file": "" for key in ("1-candidate-0-measure.sh", "2-a", "2-a-warmup", "7-b", "7-b-warmup")}
    )
    for seconds, name in enumerate(("1-candidate-0-measure.sh", "2-a", "2-a-warmup", "7-b-warmup", "7-b")):
        os.utime(scratch / name, (seconds, seconds))
    forget_old_samples(scratch)
    assert {path.name for path in scratch.iterdir()} == {"7-b", "7-b-warmup"}
    (tmp_path / "link").symlink_to(scratch)
    write(scratch, {"8-c/file": ""})
    forget_old_samples(tmp_path / "link")
    forget_old_samples(tmp_path / "nowhere")
    assert {path.name for path in scratch.iterdir()} == {"7-b", "7-b-warmup", "8-c"}


def test_calibrations_that_serve_nobody_are_forgotten_by_the_next_run(tmp_path: Path) -> None:
    old, new = (Calibrations(tmp_path, PROGRAM, {"measure.sh": digest}, "tree") for digest in "12")
    old.remember(calibrated(seconds=30.0), seed=7)
    (path,) = (tmp_path / "calibrations").iterdir()
    os.utime(path, (1, 1))
    write(tmp_path, {"calibrations/notes.json": "somebody's"})
    assert outdated(tmp_path, 200_000.0) == [path]
    new.remember(calibrated(seconds=1.0), seed=7)
    assert [left.name for left in (tmp_path / "calibrations").iterdir()] == ["notes.json"]


def test_a_candidate_of_too_many_files_is_refused(tmp_path: Path) -> None:
    case = Case(tmp_path)
    folder = case.tree / "many"
    folder.mkdir()
    for number in range(MOST_FILES):
        os.close(os.open(folder / str(number), os.O_CREAT))
    write(case.tree, {"app.py": "changed\n"})
    capture = case.capture()
    assert (capture.candidate, capture.breaches) == (None, ("20,001 changed files, and 20,000 at most",))
    for path in sorted(folder.iterdir())[:-2]:
        path.unlink()
    assert len(kinds(case.capture())) == 3
