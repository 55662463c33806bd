"""`python -m lime_server`."""

from lime_server.cli import app

app(prog_name="lime-server")
