"""An OAuth 2.1 authorization server whose tokens open MCP servers (protocol section 8)."""
