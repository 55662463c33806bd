"""The example server, which uses version 2 of the official SDK."""

from serving import serve

from examples.mcp_server.app import create_app

serve(create_app)
