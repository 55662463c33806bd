import subprocess
import sys

import lime_sdk_core


def test_all_names_exist_and_are_sorted():
    assert lime_sdk_core.__all__ == sorted(lime_sdk_core.__all__)
    assert all(hasattr(lime_sdk_core, name) for name in lime_sdk_core.__all__)


def test_importing_does_not_import_the_http_client():
    code = "import lime_sdk_core, sys; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
