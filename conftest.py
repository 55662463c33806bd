"""What every test in the repository can use."""

import signal

pytest_plugins = ["tests.support.engines"]

# A job in a shell's background inherits an ignored SIGINT, one under `nohup` an ignored SIGHUP.
# What tests start would inherit that from us, and never notice the signal that it is sent.
for _number, _usual in (
    (signal.SIGINT, signal.default_int_handler),
    (getattr(signal, "SIGHUP", None), signal.SIG_DFL),
):
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)
