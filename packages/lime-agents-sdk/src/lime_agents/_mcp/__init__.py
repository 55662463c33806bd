"""MCP servers for agents (extra `mcp`, which is not imported before it is used).

`targets` says which server is meant, `flows` what is asked of LIME, and `tokens` keeps what it
answered. `discovery` reads what a server says of itself, `wire` has the models of both answers, and
`bearer` puts tokens on requests. `generations` knows both lines of the official SDK, and `sessions`
keeps connections. `facade` is what an application sees; `background` lets blocking programs use it.
"""
