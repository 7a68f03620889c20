from tests.attacks.attack import Attack

ATTACKS = (
    Attack("nothing", "an honest run", comes="no_candidate", quick=True),
    Attack("daemon", "a daemon in a session of its own", "setsid sh -c 'trap \"\" TERM INT HUP; sleep 77' & sleep 0.1"),
)
