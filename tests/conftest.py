"""What every test starts from.

A shell without job control has what it runs in the background ignore Ctrl-C, and so would each
process that a test starts and ends by it.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
