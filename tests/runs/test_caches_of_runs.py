"""Caches over whole runs: what a candidate or an agent plants in them moves no later one, and builds stay short."""

from collections import Counter
from pathlib import Path

import pytest

from autoloop import api
from autoloop.core.run.events import Captured, Verified
from autoloop.host.signals import Signals
from autoloop.ports import Progress
from tests.real_git import commit_all, write
from tests.real_run import Checkout, move_in
from tests.runs.test_kill import REASONS, a_campaign

CACHED = {"cache_paths": ["obj"], "measure_env": ["BUILT"], "canary": False}
IGNORE = {".gitignore": "obj\nmods\n"}
BUILD = """\
mkdir -p obj
for name in code other; do
  if [ ! -e obj/$name.o ] || [ $name.py -nt obj/$name.o ]; then
    cp $name.py obj/$name.o
    echo "${AUTOLOOP_TREE##*/} $name" >> "$BUILT"
  fi
done
"""
"""Compiles what is newer than its object, as make does, and writes down which."""
MEASURE = """\
read -r _ _ x < obj/code.o
[ -e obj/fast ] && x=$((x - 50))
echo "METRIC ms=$x"
"""
POISON = "grep -q poison code.py && touch obj/fast\nexit 0\n"


@pytest.fixture
def cached(checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A program that compiles two files into a cache."""
    monkeypatch.setenv("BUILT", str(tmp_path / "built"))
    write(checkout.root, {**IGNORE, "other.py": "the same for ever\n"})
    commit_all(checkout.root)
    checkout.configure(**CACHED)
    checkout.script("build.sh", BUILD)
    checkout.script("measure.sh", MEASURE)
    return checkout


def built(tmp_path: Path) -> Counter[str]:
    """How often each file was compiled in each tree."""
    return Counter((tmp_path / "built").read_text().splitlines())


def test_poison_that_a_discarded_candidate_plants_moves_nobody(cached: Checkout) -> None:
    cached.script("build.sh", BUILD + POISON)
    cached.agent("""case $n in
    1) echo 'x = 200'; echo '# poison' ;;
    2) echo 'x = 110' ;;
    3) echo 'x = 95' ;;
    esac > code.py""")
    cached.run()
    assert cached.reasons == ["regressed", "regressed", "improved"]
    assert [row.metric for row in cached.rows[1:]] == [150, 110, 95]


def test_what_an_agent_does_to_its_caches_does_not_reach_its_successor(checkout: Checkout, tmp_path: Path) -> None:
    write(checkout.root, IGNORE)
    commit_all(checkout.root)
    checkout.configure(cache_paths=["mods"])
    checkout.script("prepare.sh", "echo honest > mods/m.js\n")
    checkout.agent(f"""(cat mods/*; ls mods) >> {tmp_path}/found
    echo evil | tee mods/m.js > mods/new
    echo "# $n" >> code.py""")
    checkout.run()
    assert (tmp_path / "found").read_text() == "honest\nm.js\n" * 3


@pytest.mark.parametrize("rule", ["median", "paired"])
def test_candidates_build_what_they_change_and_nothing_else(cached: Checkout, tmp_path: Path, rule: str) -> None:
    cached.configure(**CACHED, rule=rule, calibration_pairs=3, max_experiments=4)
    cached.agent("""case $n in
    1) echo 'x = 90' ;;
    2) echo 'x = 200' ;;
    3) echo 'x = 80' ;;
    4) echo 'x = 300' ;;
    esac > code.py""")
    cached.run()
    assert cached.reasons[0] == cached.reasons[2] == "improved"
    times = built(tmp_path)
    fresh = 1 if rule == "paired" else 0
    assert times["0 other"] == 1
    assert times["a other"] == times["b other"] == 1 + fresh, "once, and again where the night is verified"


def test_the_kept_cache_lasts_when_the_run_is_killed(cached: Checkout, tmp_path: Path) -> None:
    cached.agent("""case $n in
    1) echo 'x = 90' ;;
    *) echo "x = $((200 + n))" ;;
    esac > code.py""")

    def dies(sign: Progress) -> None:
        if sign.phase == "agent" and sign.experiment == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached.run(on_progress=dies)
    before = built(tmp_path)
    cached.resume()
    assert cached.reasons == ["improved", "regressed", "regressed"]
    after = built(tmp_path)
    assert {name: times for name, times in after.items() if "other" in name} == {
        "0 other": 1,
        "a other": 1,
        "b other": 1,
    }
    assert after["b code"] - before["b code"] <= 3


def test_an_agents_files_are_not_lost_when_its_caches_are(cached: Checkout) -> None:
    cached.script("prepare.sh", "mkdir -p obj && touch obj/prepared\n")
    cached.agent("echo 'x = 90' > code.py")

    def dies(sign: Progress) -> None:
        if sign.phase == "capture":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached.run(on_progress=dies)
    for listing in cached.cache.rglob("list.json"):
        listing.unlink()
    cached.resume(limits={"max_experiments": 1})
    (captured,) = (event for event in cached.events if isinstance(event, Captured))
    assert captured.candidate is not None
    assert cached.reasons == ["improved"]
    assert len(cached.said("preparing")) == 2 + 2, "not in the agent's tree, where its files lay"


def test_a_verification_builds_from_nothing_and_prepares_before(cached: Checkout, tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    cached.script("prepare.sh", f"ls obj >> {prepared}; mkdir -p obj; touch obj/prepared; echo done >> {prepared}\n")
    cached.script("measure.sh", "test -e obj/prepared || exit 9\n" + MEASURE)
    cached.script("build.sh", BUILD + POISON)
    cached.agent("case $n in 1) echo 'x = 90' ;; 2) echo 'x = 300'; echo '# poison' ;; esac > code.py")
    cached.run(limits={"max_experiments": 2})
    assert prepared.read_text().split() == ["done"] * 3
    times = built(tmp_path)
    api.verify(cached.root, pairs=2, signals=Signals(), on_progress=cached.seen.append)
    assert prepared.read_text().split() == ["done"] * 5, "in both slots, and there was nothing in the cache"
    again = built(tmp_path) - times
    assert again["a other"] == again["b other"] == 1
    (verified,) = (event.verification for event in cached.events if isinstance(event, Verified))
    assert verified.gain == pytest.approx(0.1, rel=0.06)
    cached.agent("echo 'x = 70' > code.py")
    cached.resume(limits={"max_experiments": 3})
    assert cached.row(3).metric == 70
    since = built(tmp_path) - times - again
    assert since["a other"] + since["b other"] <= 1, "what was built before the verification is not built all over"


def test_what_a_holdout_leaves_in_a_cache_stays_with_nobody(cached: Checkout, tmp_path: Path) -> None:
    cached.script("holdout.sh", "echo secret > obj/leak\n" + MEASURE)
    write(cached.root, {".gitignore": "obj\nmods\nprograms/p/holdout.sh\n"})
    commit_all(cached.root)
    cached.script("measure.sh", f"ls obj | grep leak >> {tmp_path}/leaked\n" + MEASURE)
    cached.agent('echo "x = $((100 - 10 * n))" > code.py')
    cached.run()
    assert cached.reasons == ["improved"] * 3
    assert (tmp_path / "leaked").read_text() == ""


EVIL = """\
mkdir -p obj
for i in $(seq 300); do [ -e obj/$i ] || echo $i > obj/$i; done
[ -e obj/evil ] && echo 'x = 1' > built || cp code.py built
grep -q 120 code.py && touch obj/evil
exit 0
"""
"""The third candidate of the campaign is discarded, and leaves something that would make all others quick."""


def test_killed_again_and_again_a_run_never_takes_a_poisoned_cache_for_its_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("killed")
    move_in(folder, monkeypatch)
    campaign = a_campaign(folder, "median", cache_paths=["obj"])
    write(campaign.checkout.root, {".gitignore": "*.log\nobj\n"})
    campaign.checkout.script("build.sh", EVIL)
    commit_all(campaign.checkout.root)
    assert campaign.carry_on("unseen", 5) >= 5
    assert campaign.checkout.reasons == REASONS
