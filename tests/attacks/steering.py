"""The run's own files: its journal, its views, what people may ask of it."""

from tests.attacks.attack import WITHOUT, Attack

FORGE = """
for run in @RUN@; do
    sed -i 's/"ms":100/"ms":1/g' $run/journal.jsonl; tail -1 $run/journal.jsonl >> $run/journal.jsonl; cp $run/journal.jsonl copy
    mv copy $run/journal.jsonl; (: > $run/journal.jsonl); rm -f copy
done 2>/dev/null
true
"""
VIEWS = """
for run in @RUN@; do
    for view in results.tsv ideas.md state.json run.json; do echo forged >> $run/$view; rm -f $run/$view; mkdir $run/$view; done
    rm -rf $run/experiments; ln -s @HOME@ $run/experiments
done 2>/dev/null
true
"""
WISHES = """
for run in @RUN@; do
    echo '{"stop": "now", "limits": {"max_experiments": 99}}' > $run/control.json; echo 'Raise x.' > $run/guidance.md
    rm -f $run/run.lock $run/../run.lock; rm -rf $run
done 2>/dev/null
python3 -m autoloop -C @CHECKOUT@ stop 2>/dev/null
true
"""


def both(name: str, tries: str, script: str) -> tuple[Attack, Attack]:
    """By an agent, and by what is measured."""
    closed = {"none": WITHOUT}
    return (
        Attack(name, tries, script, comes=("no_candidate", "lock_violation"), open=closed, shown=True),
        Attack(f"{name}, by a candidate", tries, code=script, comes="within_noise", open=closed, shown=True),
    )


ATTACKS = (
    *both("the journal", "another past", FORGE),
    *both("the views and the record", "another result, another seal", VIEWS),
    *both("wishes of people", "more experiments, another goal, an early end", WISHES),
)
