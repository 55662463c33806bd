import io
import json

import pytest

from lime_agents import _bench, _cli


@pytest.fixture
def run(fake_lime_for_agents):
    def command(*arguments):
        out, err = io.StringIO(), io.StringIO()
        code = _cli.main(arguments, out=out, err=err)
        return code, out.getvalue(), err.getvalue()

    return command


def test_whoami_shows_the_profile(run, fake_lime_for_agents):
    code, out, err = run("whoami")
    assert (code, err) == (0, "")
    assert f"agent_id      {fake_lime_for_agents.profile.agent_id}\n" in out
    assert "avatar_url    -\n" in out


def test_login_prints_one_json_object(run, fake_lime_for_agents):
    login = fake_lime_for_agents.new_login()
    code, out, _ = run("login", login.request_id, "--json")
    result = json.loads(out)
    assert code == 0
    assert (result["status"], result["request_id"]) == ("DELIVERED", login.request_id)
    assert result["expires_at"].endswith("Z")


@pytest.mark.parametrize(
    ("site", "verified", "code"),
    [("shop.example", True, 0), ("shop.example", False, 1), ("other.example", True, 1)],
)
def test_login_can_insist_on_a_site_by_its_proven_domain(
    run, fake_lime_for_agents, site, verified, code
):
    login = fake_lime_for_agents.new_login(domain="shop.example", domain_verified=verified)
    assert run("login", login.request_id, "--site", site)[0] == code


def test_login_can_insist_on_a_site_by_its_id(run, fake_lime_for_agents):
    login = fake_lime_for_agents.new_login(domain=None, domain_verified=False)
    assert run("login", login.request_id, "--site", login.site.site_id)[0] == 0


def test_a_refusal_is_explained_and_ends_with_1(run):
    code, out, err = run("login", "nothing", "--json")
    problem = json.loads(err)
    assert (code, out) == (1, "")
    assert (problem["error"], problem["http_status"]) == ("LoginNotFoundError", 404)
    assert problem["request_id"]


def test_settings_that_are_missing_are_explained(run, monkeypatch, capsys):
    monkeypatch.delenv("LIME_AGENT_TOKEN")
    assert _cli.main(["whoami"]) == 1
    assert "LIME_AGENT_TOKEN" in capsys.readouterr().err


def test_output_goes_to_the_terminal_unless_told_otherwise(run, capsys):
    assert _cli.main(["whoami"]) == 0
    assert "Test agent" in capsys.readouterr().out


def test_a_name_with_escape_sequences_does_not_reach_the_terminal(run, fake_lime_for_agents):
    from dataclasses import replace

    fake = fake_lime_for_agents
    fake.profile = replace(fake.profile, display_name="a\x1b[2Jb")
    assert "\x1b" not in run("whoami")[1]
    assert "a�[2Jb" in run("whoami")[1]


@pytest.mark.parametrize(
    "arguments",
    [[], ["login"], ["dance"], ["pow-bench", "--difficulty", "27"], ["pow-bench", "--rounds", "x"]],
)
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        _cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: lime-agent" in capsys.readouterr().err


def test_the_version_can_be_asked_for(capsys):
    with pytest.raises(SystemExit) as caught:
        _cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == "4.0.0\n"


def test_pow_bench_needs_no_settings(monkeypatch):
    monkeypatch.delenv("LIME_AGENT_TOKEN", raising=False)
    out = io.StringIO()
    assert _cli.main(["pow-bench", "--difficulty", "4", "--rounds", "3", "--json"], out=out) == 0
    result = json.loads(out.getvalue())
    assert (result["difficulty"], result["rounds"]) == (4, 3)
    assert result["engine"]


def test_the_bench_measures_with_the_clock_it_is_given():
    readings = iter([0.0, 0.25, 1.0, 1.75])
    found = _bench.run(4, 2, clock=lambda: next(readings), randomness=bytes)
    assert (found["median_ms"], found["mean_ms"]) == (500.0, 500.0)
    assert found["mhash_per_s"] > 0


def test_the_bench_survives_a_clock_too_coarse_for_it():
    assert _bench.run(0, 1, clock=lambda: 0.0)["mhash_per_s"] is None


def test_the_bench_goes_on_until_a_puzzle_is_solved(monkeypatch):
    monkeypatch.setattr(_bench, "SLICE", 1)
    assert _bench.run(6, 5)["rounds"] == 5
