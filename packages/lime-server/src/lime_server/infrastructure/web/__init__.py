"""The edge towards HTTP: pure ASGI, because each layer of another kind costs as much as a login."""
