"""Finding the proof of work, in slices, so that it can stop at a deadline or be cancelled."""

from dataclasses import dataclass
from functools import partial

from lime_agents._errors import PowDifficultyError, PowTimeoutError
from lime_pow import MAX_DIFFICULTY, LimePowError, Solver
from lime_sdk_core import ConfigurationError, Flow, Now, Offload, ProtocolError

#: Highest difficulty accepted unless the application says otherwise (protocol section 4): half a
#: second of one core with SHA extensions.
DEFAULT_MAX_DIFFICULTY = 26

#: Seconds to search (protocol section 4).
DEFAULT_POW_TIMEOUT = 10.0

#: Nonces that each thread tries between two looks at the clock: two milliseconds with SHA
#: extensions, some tens without, and many more than the usual difficulty of 15 needs.
SLICE = 1 << 18


@dataclass(frozen=True, slots=True)
class PowLimits:
    """How much work an agent is willing to do: `timeout` in seconds, `max_difficulty` in bits."""

    timeout: float = DEFAULT_POW_TIMEOUT
    max_difficulty: int = DEFAULT_MAX_DIFFICULTY

    def __post_init__(self) -> None:
        if not self.timeout > 0:
            raise ConfigurationError("pow_timeout is a number of seconds above 0.")
        if not 0 <= self.max_difficulty <= MAX_DIFFICULTY:
            raise ConfigurationError(f"max_difficulty is between 0 and {MAX_DIFFICULTY}.")


def solve(challenge: str, difficulty: int, limits: PowLimits) -> Flow[str]:
    """Find a nonce for `challenge`.

    Raises:
        PowDifficultyError: `difficulty` is above the limit; nothing was tried.
        PowTimeoutError: None was found in time.
        ProtocolError: The challenge is not one (protocol section 4).
    """
    # 1. Refuse before any work: a hostile server could otherwise keep an agent busy for years.
    if difficulty > limits.max_difficulty:
        raise PowDifficultyError(
            f"LIME asks for difficulty {difficulty}, above this agent's {limits.max_difficulty}."
        )
    # 2. Let the solver read the challenge.
    try:
        solver = Solver(challenge, difficulty)
    except LimePowError as error:
        raise ProtocolError("LIME's proof-of-work challenge cannot be read.") from error
    # 3. Search, one slice after another.
    deadline = (yield Now()) + limits.timeout
    try:
        while True:
            nonce: str | None = yield Offload(partial(solver.advance, SLICE * solver.threads))
            if nonce is not None:
                return nonce
            if (yield Now()) >= deadline:
                raise PowTimeoutError(
                    f"No proof of work of difficulty {difficulty} within {limits.timeout:g} s: "
                    "try again, or raise pow_timeout."
                )
    finally:
        # A task that is cancelled leaves its slice running in another thread.
        solver.stop()
