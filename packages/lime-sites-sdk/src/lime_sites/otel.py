"""Traces of calls to LIME for OpenTelemetry: `pip install 'lime-sites-sdk[otel]'`.

Both SDKs share what this switches on: one call does for a program that uses both.
"""

from lime_sdk_core.otel import instrument, uninstrument

__all__ = ["instrument", "uninstrument"]
