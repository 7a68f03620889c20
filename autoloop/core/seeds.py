"""Seeds and coin flips derived from the run's seed, so that a resumed run draws the same again."""

import hashlib


def seed_for(run_seed: int, experiment: int, index: int) -> int:
    """The seed of one sample or session, from 0 to 2**31 - 1; the same for both arms of a pair."""
    digest = hashlib.sha256(f"{run_seed}/{experiment}/{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def coin(run_seed: int, experiment: int, index: int) -> bool:
    """A fair coin for the order of one pair."""
    return bool(seed_for(run_seed, experiment, -1 - index) & 1)
