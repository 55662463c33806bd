"""What every test in the repository can use."""

pytest_plugins = ["tests.support.engines"]
