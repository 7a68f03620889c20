"""Names of ports that agents of people import."""

import pytest

from autoloop import ports


def test_a_sampler_can_be_imported_by_its_earlier_name_for_one_version() -> None:
    with pytest.warns(DeprecationWarning, match="now called Sampler"):
        assert ports.Bench is ports.Sampler


def test_a_name_that_was_never_there_is_missed_as_usual() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Bank'"):
        ports.Bank  # noqa: B018
