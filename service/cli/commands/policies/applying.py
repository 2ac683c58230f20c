"""`spanledger policies apply`: put a policy file into force."""

import getpass

from events import names
from service.cli.command import command
from service.cli.commands.policies.options import Policies
from service.cli.options import Data, Json
from service.cli.output.documents import write_json
from service.cli.output.render import console, pairs, writing_on
from service.cli.source.folder import existing_folder
from service.control.socket import call
from service.policies.applying import APPLY


@command
def apply(data: Data = None, policies: Policies = None, as_json: Json = False) -> None:
    """Put what the policy file says into force, in the running service, and into the log.

    A file that is wrong changes nothing, and every fault is told. SIGHUP to a service that runs
    in no terminal does the same.

    Examples:

        spanledger policies apply

        spanledger policies apply --policies new.toml
    """
    file = None if policies is None else str(policies.absolute())
    answer = call(existing_folder(data), "api", APPLY, file=file, actor=_user())
    if as_json:
        write_json(answer)
    else:
        out = console()
        out.print(pairs(answer, writing_on(out)))


def _user() -> str:
    """Who runs the command, as the log is to name them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user of a container that has no name
        return names.ACTOR_LOCAL
