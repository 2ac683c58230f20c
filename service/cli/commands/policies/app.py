"""The commands of `spanledger policies`."""

import typer

from service.cli.commands.policies.applying import apply
from service.cli.commands.policies.deciding import decide
from service.cli.commands.policies.replaying import replay_policies
from service.cli.commands.policies.showing import check, show

app = typer.Typer(no_args_is_help=True, help="See, check, try and apply policies.")
app.command()(check)
app.command()(show)
app.command()(decide)
app.command()(apply)
app.command("replay")(replay_policies)
