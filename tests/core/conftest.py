"""Settings of the property tests: no deadline, since the machine may be busy with other tests."""

from hypothesis import settings

settings.register_profile("core", deadline=None, max_examples=60)
settings.load_profile("core")
