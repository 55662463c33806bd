"""What the documents claim about the repository is true of it."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def tracked(pattern):
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", pattern],
        cwd=ROOT, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).exists()]


def prose(document):
    """The text without its code blocks, in which brackets and hashes mean something else."""
    return re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(document):
    """The ids that a Markdown renderer gives to headings."""
    found = set()
    for heading in HEADING.findall(prose(document)):
        kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
        found.add(kept.replace(" ", "-"))
    return found


DOCUMENTS = tracked("*.md")


def named(path):
    return str(path.relative_to(ROOT))


def test_there_are_documents_to_check():
    assert ROOT / "README.md" in DOCUMENTS


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_inside_the_repository_leads_somewhere(document):
    dead = []
    for target in LINK.findall(prose(document)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            dead.append(target)
    assert dead == []


def test_every_document_is_reached_from_an_index():
    linked = {
        (document.parent / unquote(target).partition("#")[0]).resolve()
        for document in DOCUMENTS
        for target in LINK.findall(prose(document))
        if not re.match(r"[a-z]+:", target)
    }
    pages = {page for page in DOCUMENTS if page.is_relative_to(ROOT / "docs")}
    assert {named(page) for page in pages - linked} == set()


def test_every_make_target_that_a_document_names_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    mentioned = {
        target
        for document in DOCUMENTS
        for target in re.findall(
            r"`make ([a-z]+)`|^make ([a-z]+)", document.read_text(), re.MULTILINE
        )
        for target in target
        if target
    }
    assert mentioned
    assert mentioned <= targets


def test_every_nox_session_that_a_document_names_exists():
    noxfile = (ROOT / "noxfile.py").read_text()
    declared = re.findall(r'@nox\.session(?:\(name="([^"]+)".*\))?\ndef (\w+)', noxfile)
    sessions = {name or function for name, function in declared}
    mentioned = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"nox -s ([a-z0-9-]+)", document.read_text())
    }
    assert mentioned
    assert mentioned <= sessions


def test_every_test_that_a_document_names_exists():
    code = "\n".join(path.read_text() for path in tracked("*.py") if "test" in path.name)
    there_are = set(re.findall(r"^ *(?:async )?def (test_\w+)", code, re.MULTILINE))
    mentioned = {
        name for document in DOCUMENTS for name in re.findall(r"`(test_\w+)`", document.read_text())
    }
    assert len(mentioned) > 30
    assert mentioned <= there_are


def test_the_changelog_tells_of_the_version_that_is_built():
    version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    assert version
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("manifest", tracked("*/pyproject.toml"), ids=named)
def test_every_package_has_the_one_version(manifest):
    version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    text = manifest.read_text()
    assert f'version = "{version}"' in text or 'dynamic = ["version"]' in text


def test_the_error_reference_lists_exactly_the_codes_that_the_server_has():
    from lime_server.core import errors

    def below(error):
        yield error
        for branch in error.__subclasses__():
            yield from below(branch)

    from lime_server.modules.mcp_oauth.errors import OAuthError

    oauth = set(below(OAuthError))
    known = {(str(e.status), e.code) for e in set(below(errors.DomainError)) - oauth}
    known -= {("400", "ERROR")}  # the root is never raised
    # Made by the web edge rather than by the domain.
    known |= {
        ("500", "INTERNAL_ERROR"),
        ("405", "METHOD_NOT_ALLOWED"),
        ("431", "HEADERS_TOO_LARGE"),
    }
    page = (ROOT / "docs/reference/errors.md").read_text()
    listed = set(re.findall(r"^\| (\d{3}) \| `([A-Z_]+)`", page, re.MULTILINE))
    assert listed == known
    of_oauth = {(str(e.status), e.code) for e in oauth}
    of_oauth |= {
        ("429", "temporarily_unavailable"),
        ("503", "temporarily_unavailable"),
        ("500", "server_error"),
    }
    listed = set(re.findall(r"^\| (\d{3}) \| `([a-z_]+)`", page, re.MULTILINE))
    assert listed == of_oauth


def test_every_symbol_in_the_life_of_a_login_is_in_the_code():
    code = "\n".join(
        path.read_text()
        for folder in ("packages/*/src/*.py", "crates/*/python/lime_*/*.py*")
        for path in tracked(folder)
    )
    page = (ROOT / "docs/life-of-a-login.md").read_text()
    symbols = set(
        re.findall(r"`((?:[a-z_]+\.)?[A-Z][A-Za-z]+(?:\.[a-z_]+)?|[a-z_]+\.[a-z]+)`", page)
    )
    symbols -= {"PENDING", "DELIVERED"}
    assert len(symbols) > 20
    gone = [
        symbol
        for symbol in symbols
        for name in symbol.split(".")
        if not re.search(rf"\b(?:class|def) {name}\b", code)
        and not list(ROOT.glob(f"packages/*/src/**/{name}.py"))
        and not list(ROOT.glob(f"crates/*/python/{name}"))
    ]
    assert gone == []


def test_the_command_line_reference_is_what_the_commands_say():
    from tools import cli_reference

    assert cli_reference.PAGE.read_text() == cli_reference.page(), "run tools/cli_reference.py"
