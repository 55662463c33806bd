"""Bills of materials are checked, and say nothing of the machine that wrote them."""

import json

import pytest

from tools import sbom

GOOD = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"component": {"name": "lime-server"}},
    "components": [{"name": "a", "version": "1", "purl": "pkg:pypi/a@1"}],
}


@pytest.fixture
def folder(tmp_path):
    for name in sbom.PACKAGES:
        sbom.path_of(tmp_path, name).write_text(json.dumps(GOOD))
    return tmp_path


def test_a_bill_for_each_package_is_in_order(folder, capsys):
    assert sbom.main(folder) == 0
    assert f"{len(sbom.PACKAGES)} bills" in capsys.readouterr().out


def test_a_package_without_one_is_named(folder, capsys):
    sbom.path_of(folder, "lime-jwt").unlink()
    assert sbom.main(folder) == 1
    assert "lime-jwt: there is none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"bomFormat": "SPDX"}, "is not CycloneDX"),
        ({"metadata": {}}, "does not say what it is about"),
        ({"components": []}, "names nothing"),
        ({"components": [{"name": "a", "purl": "pkg:pypi/a"}]}, "a has no version"),
        ({"components": [{"name": "a", "version": "1"}]}, "a has no version or no package URL"),
        ({"x": "file:///home/somebody"}, "says where it was written"),
    ],
)
def test_what_is_planted_is_found(change, problem):
    assert any(problem in found for found in sbom.problems_of({**GOOD, **change}))


def test_where_it_was_written_is_removed(folder):
    path = sbom.path_of(folder, "lime-pow")
    reference = "path+file:///home/somebody/lime/crates/lime-pow#4.0.0"
    url = "pkg:cargo/lime-pow@4.0.0?download_url=file:///home/somebody/lime"
    part = {"name": "lime-pow", "version": "4.0.0", "purl": url, "bom-ref": reference}
    path.write_text(json.dumps({**GOOD, "components": [part]}))
    assert sbom.main(folder) == 0
    (found,) = json.loads(path.read_text())["components"]
    assert found["purl"] == "pkg:cargo/lime-pow@4.0.0"
    assert found["bom-ref"] == "path:lime-pow#4.0.0"
