"""The switch for traces is the one that both SDKs share."""

import lime_sdk_core.otel
from lime_sites import otel


def test_both_sdks_have_one_switch():
    assert otel.instrument is lime_sdk_core.otel.instrument
    assert otel.uninstrument is lime_sdk_core.otel.uninstrument
