"""The command line. Each command is a file of its own; heavy imports happen when a command runs."""

import sys
import traceback

import click

from limpet.cli.check import check
from limpet.cli.contract import contract
from limpet.cli.doctor import doctor
from limpet.cli.races import races
from limpet.cli.status import status
from limpet.cli.stored import recheck, report
from limpet.cli.up import up
from limpet.cli.verify import verify
from limpet.errors import LimpetError
from limpet.verdict import EXIT_HARNESS


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="limpet", message="%(package)s %(version)s")
def cli() -> None:
    """Prove that a horizontally scaled backend keeps hold of its sessions.

    \b
    limpet verify                 judge the reference backend on this machine
    limpet verify --contract F    judge a backend of yours
    limpet contract check F       say what can be judged with a contract
    limpet up --replicas 3        keep a stack running to look at
    limpet status --watch         how it stands: sessions, owners, locks, heartbeats
    limpet doctor                 what is wrong with it, with the evidence
    limpet races                  look for an order of Redis commands in which it goes wrong
    limpet recheck runs/latest    judge a stored run again
    limpet check FILE             judge a history that somebody gives you

    \b
    Exit codes: 0 held, 1 violated, 2 unknown, 3 the harness or its surroundings failed.
    """  # noqa: D301  \b is click's mark for text that keeps its lines


cli.add_command(verify)
cli.add_command(up)
cli.add_command(status)
cli.add_command(doctor)
cli.add_command(contract)
cli.add_command(races)
cli.add_command(recheck)
cli.add_command(report)
cli.add_command(check)


def main() -> None:
    """Run the command line. What fails in the harness is one line and exit code 3, never a traceback."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = EXIT_HARNESS
    except LimpetError as error:
        click.echo(f"limpet: {error}", err=True)
        code = EXIT_HARNESS
    except Exception:  # noqa: BLE001  a mistake of ours must not look like a verdict: Python itself would exit with 1
        traceback.print_exc()
        click.echo("limpet: this is a mistake in limpet, not in the backend; nothing was judged", err=True)
        code = EXIT_HARNESS
    sys.exit(code if isinstance(code, int) else 0)
