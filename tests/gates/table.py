"""Every gate that blocks a merge, and for each a violation that it must not let pass.

`docs/quality-gates.md` describes them; `tests/docs/test_quality_gates.py` holds the two together.
"""

from dataclasses import dataclass

from tests.gates.scratch import Plant


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that somebody could break, and the narrowest command that notices."""

    name: str
    session: str
    """The nox session that runs it for everybody."""
    command: str
    """A shell's line. It succeeds in the repository as it is, and fails with the plants."""
    says: str
    """What the failing command prints: it must fail for the right reason."""
    plants: tuple[Plant, ...]
    long: bool = False
    """Whether it is left to the long form of the self-test."""


AGENTS = "packages/lime-agents-sdk/src/lime_agents"
CORE = "packages/lime-sdk-core/src/lime_sdk_core"
SITES = "packages/lime-sites-sdk/src/lime_sites"
SERVER = "packages/lime-server/src/lime_server"
PORTAL = "packages/lime-portal"
PLANTED = f"{CORE}/planted.py"

# Without it no login can be approved: what walks the whole way must notice.
NOBODY_GETS_IN = Plant(
    f"{SERVER}/modules/site_login/model.py",
    old="State.PENDING: frozenset({State.APPROVED, State.DENIED, State.EXPIRED})",
    new="State.PENDING: frozenset({State.DENIED, State.EXPIRED})",
)


def lint(name: str, rule: str, text: str, path: str = PLANTED) -> Gate:
    """A rule of Ruff."""
    return Gate(name, "lint", "ruff check .", rule, (Plant(path, text),))


LINT = (
    lint("Names that are not there or not used", "F401", "import os\n"),
    lint(
        "Mutable defaults", "B006", "def planted(to: list[int] = []) -> list[int]:\n    return to\n"
    ),
    lint("Blind `except`", "BLE001", "try:\n    print()\nexcept Exception:\n    pass\n"),
    lint(
        "Blocking calls in coroutines",
        "ASYNC251",
        "import time\n\n\nasync def planted() -> None:\n    time.sleep(1)\n",
    ),
    lint(
        "Tasks that nobody holds",
        "RUF006",
        "import asyncio\n\n\nasync def planted() -> None:\n    asyncio.create_task(planted())\n",
    ),
    lint(
        "Times without a zone", "DTZ005", "from datetime import datetime\n\nNOW = datetime.now()\n"
    ),
    lint(
        "Shells and other dangers",
        "S602",
        "import subprocess\n\nsubprocess.run('ls', shell=True)\n",
    ),
    lint(
        "Other people's private names",
        "SLF001",
        "def planted(thing: object) -> object:\n    return thing._inside\n",
    ),
    lint("Relative imports", "TID252", "from .steps import Flow\n\n__all__ = ['Flow']\n"),
    lint("Printing from a library", "T201", "print('hello')\n"),
    lint("Code that was commented out", "ERA001", "# planted = os.getcwd()\n"),
    lint("Exemptions for everything", "PGH004", "import os  # noqa\n"),
    lint("Exemptions that exempt nothing", "RUF100", "PLANTED = 1  # noqa: F401\n"),
    lint(
        "Functions with too many ways through",
        "C901",
        "def planted(of: int) -> int:\n"
        + "".join(f"    if of == {n}:\n        return {n + 1}\n" for n in range(11))
        + "    return 0\n",
    ),
    lint("Arguments without a type", "ANN001", "def planted(of) -> None:\n    return None\n"),
    lint(
        "Secrets in log messages by f-string",
        "G004",
        "import logging\n\nlogging.getLogger().info(f'{1}')\n",
    ),
    lint(
        "Tests that expect any exception at all",
        "PT011",
        "\n\ndef test_planted():\n    with pytest.raises(ValueError):\n        int('x')\n",
        "packages/lime-sdk-core/tests/test_secret.py",
    ),
    Gate(
        "Formatting",
        "lint",
        "ruff format --check .",
        "would be reformatted",
        (Plant(PLANTED, "PLANTED=1\n"),),
    ),
)


def typed(name: str, says: str, text: str) -> Gate:
    """A rule of mypy, in the smallest of the packages."""
    return Gate(name, "types", "mypy packages/lime-sdk-core/src", says, (Plant(PLANTED, text),))


TYPES = (
    typed("Strict types", "[return-value]", "def planted() -> int:\n    return ''\n"),
    typed("Generic types without arguments", "[type-arg]", "def planted(of: dict) -> None: ...\n"),
    typed(
        "Exemptions from types, without a code or a need",
        "[ignore-without-code]",
        "PLANTED: int = ''  # type: ignore\n",
    ),
    typed(
        "Code that is never reached",
        "[unreachable]",
        "def planted(of: int) -> int:\n    if isinstance(of, str):\n        return 1\n    return 2\n",
    ),
    typed(
        "Names that may not have been set",
        "[possibly-undefined]",
        "def planted(of: int) -> int:\n    if of:\n        found = 1\n    return found\n",
    ),
    Gate(
        "Stubs that say what the compiled modules do",
        "stubs",
        "MYPYPATH=crates/lime-pow/python stubtest lime_pow",
        "lime_pow._native.planted is not present at runtime",
        (Plant("crates/lime-pow/python/lime_pow/_native.pyi", "\ndef planted() -> None: ...\n"),),
    ),
)


def room(name: str, contract: str, path: str, text: str) -> Gate:
    """A contract of import-linter."""
    command = "lint-imports"
    if path.startswith(SERVER) and "SDK" not in contract:
        command += " --config packages/lime-server/.importlinter"
    return Gate(name, "rooms", command, f"{contract} BROKEN", (Plant(path, text),))


ROOMS = (
    room(
        "Server and SDKs do not know each other",
        "Server and SDKs never import each other",
        f"{AGENTS}/planted.py",
        "import lime_sites\n",
    ),
    room(
        "The server does without the SDKs' core",
        "The server does without the SDKs' core",
        f"{SERVER}/core/planted.py",
        "import lime_sdk_core\n",
    ),
    room(
        "The SDKs' core knows nobody", "The SDKs' core knows nobody", PLANTED, "import lime_jwt\n"
    ),
    room(
        "A lower room knows no higher one",
        "core <- foundation <- modules <- infrastructure <- composition",
        f"{SERVER}/core/planted.py",
        "import lime_server.modules.http\n",
    ),
    room(
        "Modules do not know each other",
        "Modules do not import each other",
        f"{SERVER}/modules/whoami/planted.py",
        "import lime_server.modules.kyc.wire\n",
    ),
    room(
        "The core is standard library only",
        "The core is standard library only",
        f"{SERVER}/core/planted.py",
        "import pydantic\n",
    ),
    room(
        "Frameworks stay in their places",
        "Frameworks stay in routes, wire and adapters",
        f"{SERVER}/modules/whoami/planted.py",
        "import asyncpg\n",
    ),
)


def licence(name: str, says: str, plant: Plant) -> Gate:
    """A licence that nobody has allowed."""
    return Gate(name, "licences", "python tools/licences.py", says, (plant,))


LICENCES = (
    licence(
        "Licences of Rust crates",
        "crate lime-pow 4.0.0: GPL-3.0-only",
        Plant("Cargo.toml", old='license = "MIT"', new='license = "GPL-3.0-only"'),
    ),
    licence(
        "Licences of Python packages",
        "planted 1: AGPL-3.0-only",
        Plant(
            "packages/lime-sdk-core/src/planted-1.dist-info/METADATA",
            "Metadata-Version: 2.4\nName: planted\nVersion: 1\nLicense-Expression: AGPL-3.0-only\n",
        ),
    ),
    licence(
        "Licences of what is in the pages",
        "npm swr",
        Plant(
            f"{PORTAL}/package-lock.json",
            old='"node_modules/swr": {',
            new='"node_modules/swr/node_modules/swr": {"version": "0", "license": "SSPL-1.0"},\n    "node_modules/swr": {',
        ),
    ),
)

WORKFLOW = ".github/workflows/release.yml"
OWN_RULES = "python tools/deploy.py"
DEPLOY = (
    Gate(
        "YAML that two readers read alike",
        "deploy",
        "yamllint --strict .yamllint.yaml .github docker deploy",
        "key-duplicates",
        (Plant("docker/compose.yaml", "name: again\n"),),
    ),
    Gate(
        "What a Dockerfile's linter knows",
        "deploy",
        "hadolint docker/Dockerfile",
        "DL3020",
        (Plant("docker/Dockerfile", "ADD README.md /\n"),),
    ),
    Gate(
        "A compose file that is one",
        "deploy",
        "check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml",
        "planted",
        (Plant("docker/compose.yaml", "\nplanted: true\n"),),
    ),
    Gate(
        "Manifests that Kubernetes takes",
        "deploy",
        "kubernetes-validate -k 1.30 --strict --quiet deploy/kubernetes/availability.yaml",
        "maxUnavailible",
        (Plant("deploy/kubernetes/availability.yaml", old="maxUnavailable", new="maxUnavailible"),),
    ),
    Gate(
        "Workflows that end by themselves",
        "deploy",
        f"check-jsonschema --builtin-schema custom.github-workflows-require-timeout {WORKFLOW}",
        "timeout-minutes",
        (Plant(WORKFLOW, old="    timeout-minutes: 120\n", new=""),),
    ),
    Gate(
        "Workflows that nobody can inject into",
        "deploy",
        "zizmor --offline --no-progress --pedantic .github",
        "template-injection",
        (
            Plant(
                WORKFLOW,
                old="      - run: make test\n",
                new="      - run: make test ${{ github.head_ref }}\n",
            ),
        ),
    ),
    Gate(
        "Images that are not root",
        "deploy",
        OWN_RULES,
        "runs as root",
        (Plant("docker/Dockerfile", old="USER 10001:10001", new="USER root"),),
    ),
    Gate(
        "Images of what somebody has hashed",
        "deploy",
        OWN_RULES,
        "installs what nobody has hashed",
        (Plant("docker/Dockerfile", old="--require-hashes ", new=""),),
    ),
    Gate(
        "Settings that the server knows",
        "deploy",
        OWN_RULES,
        "LIME_PLANTED is not a setting",
        (
            Plant(
                "docker/Dockerfile",
                old="    LIME_HOST=",
                new="    LIME_PLANTED=1 \\\n    LIME_HOST=",
            ),
        ),
    ),
)

CLIPPY = "cargo clippy -p lime-pow --all-targets --locked -- -D warnings"
CHECK_RS = "crates/lime-pow/src/check.rs"
RUST = (
    Gate(
        "Rust's formatting",
        "rust",
        "cargo fmt --all --check",
        "Diff in",
        (Plant(CHECK_RS, "\nfn planted( ) {}\n"),),
    ),
    Gate(
        "What clippy knows",
        "rust",
        CLIPPY,
        "clippy::unwrap-used",
        (
            Plant(
                CHECK_RS,
                "\n/// Planted.\n#[must_use]\npub fn planted(of: Option<u8>) -> u8 {\n    of.unwrap()\n}\n",
            ),
        ),
    ),
    Gate(
        "Rust without documentation",
        "rust",
        CLIPPY,
        "missing documentation",
        (Plant("crates/lime-pow/src/lib.rs", "\npub mod planted {}\n"),),
    ),
    Gate(
        "Unsafe Rust without its reason",
        "rust",
        CLIPPY,
        "unsafe block missing a safety comment",
        (
            Plant(
                "crates/lime-pow/src/engine.rs",
                "\n#[allow(dead_code)]\nfn planted(of: *const u8) -> u8 {\n    unsafe { *of }\n}\n",
            ),
        ),
    ),
    Gate(
        "Cargo.lock that is that of Cargo.toml",
        "rust",
        "cargo metadata --locked --format-version 1",
        "cannot update the lock file",
        (
            Plant(
                "crates/lime-pow/Cargo.toml",
                old="\nversion.workspace = true",
                new='\nversion = "4.0.1"',
            ),
        ),
    ),
    Gate(
        "Solutions that are none",
        "rust",
        "cargo test --locked -p lime-pow --test vectors",
        "test result: FAILED",
        (Plant(CHECK_RS, old="difficulty.mask() == 0 {", new="difficulty.mask() == 0 || true {"),),
    ),
    Gate(
        "Forged passports, in Rust",
        "rust",
        "cargo test --locked -p lime-jwt --test vectors",
        "test result: FAILED",
        (
            Plant(
                "crates/lime-jwt/src/verify.rs",
                old="if exp <= now.saturating_sub(expect.leeway)",
                new="if exp <= now.saturating_sub(86_400 + expect.leeway)",
            ),
        ),
        long=True,
    ),
)


def pytest(session: str, name: str, test: str, says: str, *plants: Plant, long: bool = False) -> Gate:  # fmt: skip
    """A test, or a few of them."""
    return Gate(name, session, f"pytest {test}", says, plants, long)


SECRET = "packages/lime-sdk-core/tests/test_secret.py"
CONFIG = f"{CORE}/config.py"
COVERAGE = (
    "coverage erase && coverage run -m pytest packages/lime-sdk-core/tests/test_config.py"
    " && coverage combine --quiet && coverage report --include '*/lime_sdk_core/config.py'"
)
TESTS = (
    Gate(
        "Lines that no test reaches",
        "tests",
        COVERAGE,
        "is less than fail-under=100",
        (Plant(CONFIG, "\n\ndef planted() -> int:\n    return 1\n"),),
    ),
    Gate(
        "Branches that no test takes",
        "tests",
        COVERAGE,
        "->",
        (
            Plant(
                CONFIG,
                "\n\nfor PLANTED in (1, 2):\n    if PLANTED:\n        str(PLANTED)\n",
            ),
        ),
    ),
    pytest(
        "tests",
        "Warnings",
        SECRET,
        "planted warning",
        Plant(
            SECRET,
            "\n\ndef test_planted():\n    import warnings\n\n    warnings.warn('planted warning')\n",
        ),
    ),
    pytest(
        "tests",
        "Failures that are expected and do not happen",
        SECRET,
        "XPASS(strict)",
        Plant(SECRET, "\n\n@pytest.mark.xfail(reason='planted')\ndef test_planted():\n    pass\n"),
    ),
    pytest(
        "tests",
        "Marks that nobody declared",
        SECRET,
        "'planted' not found in `markers`",
        Plant(SECRET, "\n\n@pytest.mark.planted\ndef test_planted():\n    pass\n"),
    ),
    pytest(
        "tests",
        "States of a login",
        "packages/lime-server/tests/login/test_model.py",
        "DID NOT RAISE",
        Plant(
            f"{SERVER}/modules/site_login/model.py",
            old="State.EXPIRED: frozenset(),",
            new="State.EXPIRED: frozenset({State.APPROVED}),",
        ),
    ),
    pytest(
        "tests",
        "Secrets in logs",
        "packages/lime-server/tests/edge/test_logging.py",
        "test_a_credential_is_hidden",
        Plant(
            f"{SERVER}/logging.py",
            old="\\b[as]t_[A-Za-z0-9_-]{8,}",
            new="\\b[a]t_[A-Za-z0-9_-]{8,}",
        ),
    ),
    pytest(
        "tests",
        "Secrets in a pickle or a repr",
        SECRET,
        "test_a_secret_shows_itself",
        Plant(
            f"{CORE}/_secret.py",
            old="    def __repr__(self) -> str:\n",
            new="    def __repr__(self) -> str:\n        return self.reveal()\n\n    def planted(self) -> str:\n",
        ),
    ),
    pytest(
        "tests",
        "Migrations with numbers of their own",
        "packages/lime-server/tests/postgres/test_migrator.py::test_our_migrations_are_numbered_without_repetition",
        "assert [",
        Plant(f"{SERVER}/infrastructure/postgres/migrations/0002_planted.sql", "SELECT 1;\n"),
    ),
    pytest(
        "tests",
        "Settings and their reference",
        "packages/lime-server/tests/edge/test_settings.py::test_the_reference_is_what_the_code_says",
        "AssertionError",
        Plant(
            "docs/reference/settings.md", old="| `LIME_PORT` | `8080`", new="| `LIME_PORT` | `8081`"
        ),
    ),
    pytest(
        "tests",
        "A command line that starts at once",
        "packages/lime-server/tests/cli/test_commands.py -k help_imports",
        "test_help_imports_no_server",
        Plant(
            f"{SERVER}/cli/__init__.py", old="import typer\n", new="import fastapi\nimport typer\n"
        ),
    ),
    pytest(
        "tests",
        "SDKs that import little",
        "packages/lime-sdk-core/tests/test_public.py",
        "test_importing_imports",
        Plant(f"{CORE}/_secret.py", old="import hmac\n", new="import hmac\nimport httpx\n"),
    ),
    pytest(
        "tests",
        "Public names, all of them and in order",
        "packages/lime-sdk-core/tests/test_public.py",
        "test_all_names_exist",
        Plant(f"{CORE}/__init__.py", old="__all__ = [\n", new='__all__ = [\n    "Planted",\n'),
    ),
    pytest(
        "tests",
        "Fetches for unknown key ids",
        "packages/lime-sites-sdk/tests/test_jwks.py -k ten_thousand",
        "assert 1",
        Plant(
            f"{SITES}/_jwks.py", old="MIN_INTERVAL: Final = 10.0", new="MIN_INTERVAL: Final = 0.0"
        ),
    ),
    pytest(
        "tests",
        "Vectors that their generator makes",
        "crates/lime-pow/python/tests/test_vectors.py::test_the_generator_makes_the_committed_file_again",
        "AssertionError",
        Plant("vectors/pow.json", "\n"),
    ),
    pytest(
        "tests",
        "Floors that check something",
        "tests/tools/test_bench_check.py::test_the_committed_floors_are_understood_and_positive",
        "login is not understood",
        Plant(
            "benchmarks/floors.toml",
            old='run = ["--logins", "900"',
            new='once = ["--logins", "900"',
        ),
    ),
    pytest(
        "tests",
        "Set-up that needs nothing",
        "tests/tools/test_bootstrap.py::test_it_needs_nothing_but_the_standard_library",
        "yaml",
        Plant("tools/bootstrap.py", old="import sys\n", new="import sys\nimport yaml\n"),
    ),
    pytest(
        "tests",
        "Python packages that are pinned and hashed",
        "tests/tools/test_lock_files.py",
        "test_every_python_package_is_pinned",
        Plant("requirements/server.txt", "planted==1.0\n"),
    ),
    pytest(
        "tests",
        "Lock files that say where packages come from",
        "tests/tools/test_lock_files.py",
        "--extra-index-url",
        Plant("requirements/server.txt", "# --extra-index-url https://mirror.example/simple\n"),
    ),
)

MANIFEST = "tests/contract/test_manifest.py"
CONTRACT = (
    pytest(
        "contract",
        "Promises without a test",
        MANIFEST,
        "planted:promise",
        Plant(
            "tests/contract/promises.py",
            '\nPROMISES["planted:promise"] = Promise("protocol 1", "Nothing tests this.")\n',
        ),
    ),
    pytest(
        "contract",
        "Tests without a promise",
        MANIFEST,
        "test_planted",
        Plant("tests/contract/test_times.py", "\n\ndef test_planted() -> None:\n    pass\n"),
    ),
    pytest(
        "contract",
        "Promises whose test is skipped",
        MANIFEST,
        "times:rotation",
        Plant(
            "tests/contract/test_times.py",
            old='@promise("times:rotation")\n',
            new='@promise("times:rotation")\n@pytest.mark.skip\n',
        ),
    ),
    pytest(
        "contract",
        "The bytes of the wire",
        "tests/contract/test_fixtures.py -k to_the_byte",
        "test_the_server_writes_every_body",
        Plant(
            f"{SERVER}/modules/site_login/wire.py",
            old='    pow_algorithm: Literal["sha256"]\n',
            new='    pow_algorithm: Literal["sha256"]\n    planted: int = 1\n',
        ),
    ),
    pytest(
        "contract",
        "Times that two sides must agree on",
        "tests/contract/test_times.py::test_the_watchdog_outlives_two_heartbeats",
        "test_the_watchdog",
        Plant("docs/protocol.md", old="| 15 s / 40 s / 300 s |", new="| 15 s / 30 s / 300 s |"),
    ),
    pytest(
        "contract",
        "A login on a real server",
        "tests/contract/test_site_login.py::test_an_approval_says_what_was_approved",
        "FAILED",
        NOBODY_GETS_IN,
    ),
)

ATTACKS = (
    pytest(
        "attacks",
        "Pages of others that act for an owner",
        "tests/attacks/test_sessions.py::test_a_csrf_pair_that_the_attacker_planted_is_not_this_sessions",
        "FAILED",
        Plant(
            f"{SERVER}/modules/credentials.py",
            old="    if not sessions.is_csrf_token(unverified_cookie, unverified_csrf):",
            new="    if not sessions:",
        ),
    ),
)

WATCHING = "tests/operations/test_watching.py"
OPERATIONS = (
    pytest(
        "operations",
        "Alerts that can be told apart",
        f"{WATCHING}::test_alerts_have_names_of_their_own_and_say_what_to_do",
        "AssertionError",
        Plant(
            "deploy/prometheus/alerts.yml", old="alert: LimeServerGone\n", new="alert: LimeGone\n"
        ),
    ),
    pytest(
        "operations",
        "Dashboards whose queries can be asked",
        f"{WATCHING}::test_every_query_parses_and_asks_for_something",
        "ValueError",
        Plant(
            "deploy/grafana/lime.json",
            old='"sum(up{job=~\\"$job\\"})"',
            new='"sum(up{job=~\\"$job\\"}"',
        ),
    ),
    pytest(
        "operations",
        "Metrics that nobody would see",
        f"{WATCHING}::test_every_metric_of_the_server_is_on_the_dashboard",
        "lime_planted",
        Plant(
            f"{SERVER}/infrastructure/web/metrics.py",
            old='"lime_rate_limited"',
            new='"lime_planted"',
        ),
    ),
)

SCALING = (
    pytest(
        "scaling",
        "Statements that are kept on borrowed connections",
        "tests/scaling/test_pgbouncer.py::test_logins_complete_on_connections_that_are_lent_for_one_transaction",
        # Either a server does not start, or somebody's request is answered 500.
        "FAILED",
        Plant(
            f"{SERVER}/infrastructure/postgres/pool.py",
            old='{"none": 100, "transaction": 0}',
            new='{"none": 100, "transaction": 100}',
        ),
        long=True,
    ),
)

SCHEMA = (
    pytest(
        "schema",
        "An OpenAPI document that is true",
        "tests/schema -k end_sessions",
        "Undocumented status code",
        Plant(
            f"{SERVER}/modules/accounts/routes.py",
            old="signed_out(http.success(wire.Done()))",
            new="signed_out(http.success(wire.Done(), status=202))",
        ),
        long=True,
    ),
    pytest(
        "schema",
        "Exceptions for what is not there any more",
        "tests/schema -k exception",
        "test_every_exception",
        Plant(
            "tests/schema/configuration.py",
            old='    "POST /api/v1/foundation/users/logout",\n)',
            new='    "POST /api/v1/foundation/users/logout",\n    "POST /planted",\n)',
        ),
    ),
)


def portal(name: str, command: str, says: str, *plants: Plant) -> Gate:
    """A check of the pages."""
    return Gate(name, "portal", f"cd {PORTAL} && {command}", says, plants)


NOTICE = f"{PORTAL}/src/ui/notice.tsx"
ESLINT = "npx eslint --max-warnings 0 src/ui/notice.tsx"
PAGES = (
    portal(
        "Styles that the policy forbids",
        ESLINT,
        "The CSP forbids inline styles",
        Plant(NOTICE, '\nexport const Planted = () => <p style={{ color: "red" }}>x</p>;\n'),
    ),
    portal(
        "Text of others as markup",
        ESLINT,
        "Text from others is shown as text",
        Plant(
            NOTICE,
            '\nexport const Planted = () => <p dangerouslySetInnerHTML={{ __html: "x" }} />;\n',
        ),
    ),
    portal(
        "Pictures without a text",
        ESLINT,
        "jsx-a11y/alt-text",
        Plant(NOTICE, '\nexport const Planted = () => <img src="/icon.svg" />;\n'),
    ),
    portal(
        "Promises that nobody awaits",
        ESLINT,
        "no-floating-promises",
        Plant(NOTICE, "\nexport function planted() {\n  Promise.resolve();\n}\n"),
    ),
    portal(
        "Types of the pages",
        "npm run typecheck",
        "TS2322",
        Plant(NOTICE, '\nexport const planted: number = "1";\n'),
    ),
    portal(
        "What the pages' own code does",
        "npx vitest run src/lib/words.test.ts",
        "AssertionError",
        Plant(f"{PORTAL}/src/lib/initials.ts", old='|| "?"', new='|| "!"'),
    ),
    Gate(
        "Pages that know the API as it is",
        "portal",
        f"python -m tools.openapi build/openapi.json && cd {PORTAL} && npm run contract -- ../../build/openapi.json",
        "error TS",
        (
            Plant(
                f"{PORTAL}/src/api/types.ts",
                old="  email: string;\n  kyc_level: number;\n  operator",
                new="  email: string;\n  kyc_level: string;\n  operator",
            ),
        ),
    ),
)

DOCUMENTS = "tests/docs/test_documents.py"
EXAMPLES = (
    pytest(
        "examples",
        "Links that lead nowhere",
        DOCUMENTS,
        "nowhere.md",
        Plant("README.md", "\n[planted](docs/nowhere.md)\n"),
    ),
    pytest(
        "examples",
        "Documents that nobody finds",
        DOCUMENTS,
        "docs/planted.md",
        Plant("docs/planted.md", "# Planted\n"),
    ),
    pytest(
        "examples",
        "Make targets that a document names",
        DOCUMENTS,
        "test_every_make_target",
        Plant("README.md", "\n`make planted`\n"),
    ),
    pytest(
        "examples",
        "Sessions that a document names",
        DOCUMENTS,
        "test_every_nox_session",
        Plant("README.md", "\n`nox -s planted`\n"),
    ),
    pytest(
        "examples",
        "A version without its changes",
        DOCUMENTS,
        "test_the_changelog",
        Plant("Cargo.toml", old='version = "4.0.0"', new='version = "4.0.1"'),
    ),
    pytest(
        "examples",
        "The list of errors",
        DOCUMENTS,
        "test_the_error_reference",
        Plant("docs/reference/errors.md", "\n| 404 | `PLANTED` | planted |\n"),
    ),
    pytest(
        "examples",
        "The reference of commands",
        DOCUMENTS,
        "test_the_command_line_reference",
        Plant(
            "docs/reference/cli.md",
            old="0 takes a free one. | `8000`",
            new="0 takes a free one. | `8001`",
        ),
    ),
    pytest(
        "examples",
        "Symbols that the tour names",
        DOCUMENTS,
        "test_every_symbol",
        Plant("docs/life-of-a-login.md", "\n`SiteLogin.planted`\n"),
    ),
    pytest(
        "examples",
        "Requirements that a test is said to show",
        "tests/docs/test_requirements.py",
        "test_every_test_that_is_named_exists",
        Plant(
            "docs/mcp.md",
            old="## The resource server\n",
            new="| planted | MUST | done | `contract/test_mcp.py::test_planted` |\n\n## The resource server\n",
        ),
    ),
    pytest(
        "examples",
        "Gates that nobody described",
        "tests/docs/test_quality_gates.py",
        "test_the_document_and_the_table_agree",
        Plant("docs/quality-gates.md", old="| Formatting |", new="| Planted |"),
    ),
    pytest(
        "examples",
        "The README's programs",
        "tests/docs/test_readme.py -k two_examples",
        "AttributeError",
        Plant("README.md", old="agent.login(sys.argv[1])", new="agent.log_in(sys.argv[1])"),
    ),
    pytest(
        "examples",
        "What the portal gives to paste",
        "tests/docs/test_snippets.py -k lets_an_agent_in",
        "AttributeError",
        Plant(
            f"{PORTAL}/src/things/snippets.ts",
            old="    return agent.agent_id\n",
            new="    return agent.planted\n",
        ),
    ),
    pytest(
        "examples",
        "The example sites",
        "examples/flask_site",
        "FAILED",
        Plant(
            "examples/flask_site/app.py",
            old="site.create_login_request().request_id",
            new="site.create_login_request().planted",
        ),
    ),
)

FLOORS = "python benchmarks/check.py --only jwt"
BENCHMARKS = (
    Gate(
        "Benchmarks that run",
        "bench-smoke",
        "python benchmarks/table.py --quick --only jwt",
        "planted",
        (
            Plant(
                "benchmarks/jwt.py",
                old='importlib.import_module("jwt")',
                new='importlib.import_module("planted")',
            ),
        ),
    ),
    Gate(
        "Floors under ratios to peers",
        "bench-check",
        FLOORS,
        "the floor is 3000",
        (
            Plant(
                "benchmarks/floors.toml",
                old='"jwt.verify_vs_pyjwt" = 3,',
                new='"jwt.verify_vs_pyjwt" = 3000,',
            ),
        ),
        long=True,
    ),
    Gate(
        "The demonstration",
        "demo",
        "python tools/demo",
        "The demonstration failed",
        (NOBODY_GETS_IN,),
    ),
)


def long(name: str, session: str, command: str, says: str, *plants: Plant) -> Gate:
    """What has to install something or to start a browser."""
    return Gate(name, session, command, says, plants, long=True)


def browser(name: str, test: str, says: str, plant: Plant) -> Gate:
    """Something that only a browser sees."""
    command = f"python tools/browser.py pytest tests/portal/test_every_page.py -k {test}"
    return long(name, "portal-browser", command, says, plant)


# What an issuer says of itself must be its own address to the byte (RFC 8414, section 3.3).
STRANGE_ISSUER = Plant(
    f"{SERVER}/modules/mcp_oauth/metadata.py",
    old='"issuer": issuer,',
    new='"issuer": issuer + "/",',
)
LETS_IN = "-- -k test_a_client_that_registers_itself"
ELSEWHERE = (
    browser(
        "Pages that everybody can use",
        "unusable_request",
        "html-has-lang",
        Plant(f"{SERVER}/modules/mcp_oauth/client_wire.py", old='<html lang="en">', new="<html>"),
    ),
    browser(
        "Pages that fit a phone",
        "unusable_request",
        "px too wide",
        Plant(
            f"{SERVER}/modules/mcp_oauth/client_wire.py",
            old="<p>{message}</p>",
            new="<pre>" + "w" * 400 + "</pre>",
        ),
    ),
    browser(
        "Scripts of a page, in bytes",
        "pages_for_everybody",
        "bytes of",
        Plant(
            "tests/portal/checks.py",
            old="MAX_SCRIPT_BYTES = 200_000",
            new="MAX_SCRIPT_BYTES = 20_000",
        ),
    ),
    browser(
        "Pages under a policy of hashes",
        "pages_for_everybody",
        "policy: script-src",
        Plant(
            f"{SERVER}/infrastructure/web/portal.py",
            old="[\"'self'\", *page.script_hashes(), *third_party]",
            new="[\"'self'\", *third_party]",
        ),
    ),
    long(
        "The SDKs that are out there",
        "wild-clients",
        "nox -s wild-clients -- -k unconfigured",
        "FAILED",
        NOBODY_GETS_IN,
    ),
    long(
        "The official MCP client", "interop", f"nox -s interop {LETS_IN}", "FAILED", STRANGE_ISSUER
    ),
    long(
        "The official MCP client before",
        "interop-mcp-1",
        f"nox -s interop-mcp-1 {LETS_IN}",
        "FAILED",
        STRANGE_ISSUER,
    ),
    long(
        "The oldest MCP SDK that our extras let in",
        "interop-mcp-1-first",
        "nox -s interop-mcp-1-first",
        "FAILED",
        # Its first releases call it otherwise.
        Plant(
            "packages/lime-agents-sdk/src/lime_agents/_mcp/generations.py",
            old="make = transport.streamablehttp_client\n",
            new="make = transport.streamable_http_client\n",
        ),
    ),
    long(
        "FastMCP", "interop-fastmcp", f"nox -s interop-fastmcp {LETS_IN}", "FAILED", STRANGE_ISSUER
    ),
    long(
        "The official TypeScript client",
        "interop-typescript",
        f"nox -s interop-typescript {LETS_IN}",
        "FAILED",
        STRANGE_ISSUER,
    ),
    long(
        "Debian's PostgreSQL",
        "debian-engines",
        "python tools/debian_engines.py pytest packages/lime-server/tests/postgres/test_migrator.py",
        "FAILED",
        Plant(
            f"{SERVER}/infrastructure/postgres/migrations/0001_identities.sql",
            "\nSELECT planted;\n",
        ),
    ),
)

FAULTS = (
    Gate(
        "Ledgers that are compared",
        "chaos-smoke",
        "pytest tests/chaos/test_ledger.py",
        "test_a_broken_promise_is_found",
        (
            Plant(
                "tests/chaos/ledger.py",
                old="if story.approved and not story.opened",
                new="if story.approved and not story.opened and not story",
            ),
        ),
    ),
)

GATES = (
    *LINT,
    *TYPES,
    *ROOMS,
    *LICENCES,
    *DEPLOY,
    *RUST,
    *TESTS,
    *CONTRACT,
    *ATTACKS,
    *OPERATIONS,
    *SCALING,
    *FAULTS,
    *SCHEMA,
    *PAGES,
    *EXAMPLES,
    *BENCHMARKS,
    *ELSEWHERE,
)
