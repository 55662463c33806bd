"""`/docs`: the OpenAPI document as one page of plain HTML.

No script and nothing from elsewhere: a passport office does not run a stranger's code in the
browser of whoever reads its manual, and the page works on a machine without a network.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterable
from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.responses import HTMLResponse

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
section { border-top: 1px solid #8886; margin-top: 1.5rem; }
code, h3 { font-family: ui-monospace, monospace; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; }
"""
_POLICY = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; style-src 'sha256-"
    + b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


def install(app: FastAPI) -> None:
    """Serve the page at `/docs`."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        """Every route, with what it takes, what it gives, and how it can fail."""
        return HTMLResponse(page(app.openapi()), headers={"Content-Security-Policy": _POLICY})


def page(document: dict[str, Any]) -> str:
    """`document` for a human."""
    info = document["info"]
    operations = "".join(
        _operation(method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    schemas = "".join(
        _schema(name, schema)
        for name, schema in document["components"]["schemas"].items()
        if "properties" in schema or "enum" in schema
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1>"
        f"<p>{escape(info['description'])}</p>"
        '<p>For programs: <a href="/openapi.json">openapi.json</a></p>'
        f"<main>{operations}<h2>Objects</h2>{schemas}</main></body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [
        f"<section><h3>{method.upper()} {escape(path)}</h3>",
        f"<p><strong>{escape(operation.get('summary', ''))}.</strong> ",
        f"{escape(operation.get('description', ''))}</p>",
        _credentials(operation.get("security", [])),
        _table("Parameters", [_parameter(one) for one in operation.get("parameters", [])]),
    ]
    if "requestBody" in operation:
        kind = _type(operation["requestBody"]["content"]["application/json"]["schema"])
        parts.append(f"<p>Body: {kind}</p>")
    responses = operation["responses"].items()
    parts.append(_table("Answers", [_response(status, one) for status, one in responses]))
    return "".join(parts) + "</section>"


def _credentials(security: list[dict[str, Any]]) -> str:
    names = [escape(name) for one in security for name in one]
    return f"<p>Credential: <code>{', '.join(names)}</code></p>" if names else ""


def _parameter(parameter: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"<code>{escape(parameter['name'])}</code>",
        escape(parameter["in"]),
        _type(parameter["schema"]),
        escape(parameter.get("description", "")),
    )


def _response(status: str, response: dict[str, Any]) -> tuple[str, ...]:
    headers = ", ".join(f"<code>{escape(name)}</code>" for name in response["headers"])
    content = "<br>".join(
        f"{escape(media)}: {_type(one['schema'])}"
        for media, one in response.get("content", {}).items()
    )
    return (status, escape(response["description"]), content, headers)


def _schema(name: str, schema: dict[str, Any]) -> str:
    if "enum" in schema:
        values = _table(escape(name), [(_type(schema),)])
        return f'<section id="{escape(name)}">{values}</section>'
    rows = [
        (
            f"<code>{escape(field)}</code>",
            _type(one),
            "required" if field in schema.get("required", []) else "",
            escape(one.get("description", "")),
        )
        for field, one in schema["properties"].items()
    ]
    described = f"<p>{escape(schema.get('description', ''))}</p>"
    return f'<section id="{escape(name)}">{described}{_table(escape(name), rows)}</section>'


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}"><code>{name}</code></a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"array of {_type(schema['items'])}"
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in values)
    return escape(str(schema.get("type", "anything")))


def _table(title: str, rows: Iterable[tuple[str, ...]]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h4>{title}</h4><table>{body}</table>" if body else ""
