import logging
import pickle

import pytest

from lime_sdk_core import AuthenticationError, Secret

VALUE = "at_very-secret"


def test_a_secret_shows_itself_only_when_asked_by_name(caplog):
    secret = Secret(VALUE)
    logging.getLogger("app").warning("%s %r", secret, {"token": secret})
    for text in (str(secret), repr(secret), f"{secret}", f"{secret!r:>30}", caplog.text):
        assert VALUE not in text
    assert secret.reveal() == VALUE


def test_a_secret_is_not_written_into_a_pickle():
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Secret(VALUE))


def test_a_secret_has_no_dict_to_dump():
    assert not hasattr(Secret(VALUE), "__dict__")


@pytest.mark.parametrize("value", ["", "a b", "a\nb", "at_\r", "té", "a\x7f", " at_x", "\u2028"])
def test_a_value_that_is_no_header_word_is_refused_without_being_repeated(value):
    with pytest.raises(AuthenticationError) as caught:
        Secret(value)
    assert value == "" or value not in str(caught.value)


def test_secrets_are_equal_by_value_and_to_nothing_else():
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("at_other")
    assert Secret(VALUE) != VALUE
    assert len({Secret(VALUE), Secret(VALUE)}) == 1


def test_redacting_removes_every_copy():
    assert Secret(VALUE).redact(f"{VALUE} and {VALUE}") == "[secret] and [secret]"
