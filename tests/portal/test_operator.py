"""What an operator does for owners, and to them."""

from playwright.sync_api import expect

from tests.portal import checks
from tests.portal.household import PDF


def test_an_owner_hands_in_documents_and_the_operator_approves_a_level(
    owner, operator, age_sessions, tmp_path
):
    # 1. The owner asks.
    passport = tmp_path / "passport.pdf"
    passport.write_bytes(PDF)
    owner.follow("Identity")
    owner.page.get_by_label("Level to ask for").select_option("Level 2")
    owner.page.get_by_label("Documents", exact=True).set_input_files(passport)
    owner.press("Ask for this level")
    expect(owner.page.get_by_text("under review")).to_be_visible()

    # 2. The operator proves once more who they are, reads, and decides.
    age_sessions(operator)
    owner_id = owner.call("GET", "/foundation/users/me")["user_id"]
    operator.follow("Operator console")
    operator.follow(f"Level 2 for owner {owner_id}")
    operator.press("Prove that it is you, and open them")
    operator.prove_again()
    with operator.page.expect_download() as saved:
        operator.page.get_by_role("link", name="passport.pdf").click()
    assert saved.value.path().read_bytes() == PDF
    operator.page.get_by_label("Outcome").select_option("Approve level 2")
    operator.write("Reason", "The passport is genuine.")
    operator.press("Decide")
    expect(operator.page.get_by_text("approved", exact=True)).to_be_visible()
    checks.inspect(operator.page, "operator-case-decided")

    # 3. The owner sees what was decided and why, and who read their document.
    owner.page.reload()
    expect(owner.page.get_by_role("heading", name="Your level is 2")).to_be_visible()
    expect(owner.page.get_by_text("The passport is genuine.")).to_be_visible()
    checks.inspect(owner.page, "kyc-approved", fresh=True)
    owner.follow("Audit log")
    entries = owner.page.get_by_role("list", name="entries")
    expect(entries).to_contain_text("document")


def test_a_suspended_owner_is_told_and_can_sign_out(owner, operator):
    owner_id = owner.call("GET", "/foundation/users/me")["user_id"]
    path = f"/foundation/operator/owners/{owner_id}/suspend"
    operator.call("POST", path, reason="It was reported by three sites.")
    owner.page.goto("/")
    expect(owner.alert("Your account is suspended: your agents")).to_be_visible()
    checks.inspect(owner.page, "overview-suspended", fresh=True)
    owner.sign_out()


def test_owners_have_no_console(owner):
    owner.page.goto("/operator/")
    owner.see("There is no such page")


def test_an_owner_takes_their_audit_log_along(owner):
    owner.follow("Audit log")
    with owner.page.expect_download() as saved:
        owner.follow("Export as JSON lines")
    assert "owner.registered" in saved.value.path().read_text()
