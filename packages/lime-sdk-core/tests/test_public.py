import subprocess
import sys

import lime_sdk_core


def test_all_names_exist_and_are_sorted():
    assert lime_sdk_core.__all__ == sorted(lime_sdk_core.__all__)
    assert all(hasattr(lime_sdk_core, name) for name in lime_sdk_core.__all__)


def test_importing_imports_neither_the_http_client_nor_pydantic():
    code = "import lime_sdk_core, sys; sys.exit(bool({'httpx', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
