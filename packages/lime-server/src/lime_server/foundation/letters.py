"""What our mails say."""

from lime_server.foundation.mail import Mail


class Letters:
    """Writes them. Links lead to the public URL and hold nothing secret."""

    def __init__(self, public_url: str) -> None:
        """`public_url` is where the pages are."""
        self._url = public_url

    def welcome(self, to: str, code: str) -> Mail:
        """To somebody who registers."""
        return Mail(
            to,
            f"{code} is your LIME code",
            f"Your code is {code}. Type it in where you registered; it is good for 15 minutes.\n\n"
            "If it was not you who registered, do nothing: without the code there is no account.\n",
        )

    def already(self, to: str) -> Mail:
        """To somebody who registers again."""
        return Mail(
            to,
            "You already have a LIME account",
            "Somebody, perhaps you, registered with this address. You already have an account:\n"
            f"sign in at {self._url}/login, or ask for another password there.\n\n"
            "If it was not you, nothing needs to be done.\n",
        )

    def reset(self, to: str | None, code: str) -> Mail:
        """To somebody who has lost their password."""
        return Mail(
            to,
            f"{code} is your LIME code",
            f"Your code is {code}. With it you can set another password; it is good for 15\n"
            "minutes.\n\n"
            "If it was not you who asked, do nothing: your password stays as it is.\n",
        )

    def guessed(self, to: str) -> Mail:
        """To somebody whose password is known to whoever guesses at their second factor."""
        return Mail(
            to,
            "Somebody knows your LIME password",
            "Somebody signed in with your password and then gave wrong codes, ten times or more.\n"
            "None of these codes let them in.\n\n"
            f"If it was not you, set another password at once: {self._url}/forgot\n",
        )

    def changed(self, to: str) -> Mail:
        """To somebody whose password was changed."""
        return Mail(
            to,
            "Your LIME password was changed",
            "Your password was changed, and all other sessions have ended.\n\n"
            f"If it was not you, ask for another one at once: {self._url}/forgot\n",
        )
