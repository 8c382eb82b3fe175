"""The edge of the command line: every error becomes one sentence and an exit code; no traceback reaches a user."""

import errno
import os
import sys
import traceback

import click

from labelferry.cli.signals import ending
from labelferry_protocol.errors import EXIT_DONE, EXIT_FAILED, LabelferryError
from labelferry_transport.descriptors import OUT_OF_DESCRIPTORS, NoDescriptor


def guarded(command: click.Command) -> int:
    """Run `command` on this process's arguments and return its exit code."""
    fill_missing_streams()
    try:
        result = command.main(standalone_mode=False, prog_name="labelferry")
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        sentence, code = ending()
        click.echo(sentence, err=True)
        return code
    except LabelferryError as error:
        click.echo(f"Error: {error}", err=True)
        return int(getattr(error, "exit_code", EXIT_FAILED))
    except BrokenPipeError:
        # Whoever read our output has left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        if error.errno in OUT_OF_DESCRIPTORS:
            click.echo(f"Error: {NoDescriptor()}", err=True)
            return EXIT_FAILED
        if error.errno != errno.ENOSPC:
            return _unforeseen(error)
        click.echo("Error: no space is left where the output goes", err=True)
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the last edge: what was not foreseen must still be a sentence
        return _unforeseen(error)
    return result if isinstance(result, int) else EXIT_DONE


def fill_missing_streams() -> None:
    """Give a program that was started with stdin, stdout or stderr closed the null device there: nothing else may take their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8", closefd=False))


def _unforeseen(error: Exception) -> int:
    click.echo(f"Error: something unforeseen happened ({type(error).__name__}: {error}){_remember()}", err=True)
    return EXIT_FAILED


def _remember() -> str:
    from labelferry.embedded.place import state_directory

    path = state_directory() / "errors.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("a", encoding="utf-8") as log:
            log.write(traceback.format_exc() + "\n")
    except OSError:
        return ""
    return f": please report it with the end of {path}"
