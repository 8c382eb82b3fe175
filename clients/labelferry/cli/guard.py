"""The edge of the command line: every error becomes one sentence and an exit code; no traceback reaches a user."""

import errno
import os
import sys
import traceback
from contextlib import suppress

import click

from labelferry.cli.signals import ending
from labelferry.errors import not_utf8
from labelferry_protocol.errors import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, LabelferryError
from labelferry_transport.descriptors import OUT_OF_DESCRIPTORS, NoDescriptor


def guarded(command: click.Command) -> int:
    """Run `command` on this process's arguments and return its exit code."""
    fill_missing_streams()
    code = _run(command)
    return EXIT_FAILED if _let_go_of_dead_streams() and code == EXIT_DONE else code


def _run(command: click.Command) -> int:
    try:
        result = command.main(standalone_mode=False, prog_name="labelferry")
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        sentence, code = ending()
        _say(sentence)
        return code
    except LabelferryError as error:
        _say(f"Error: {error}")
        return int(getattr(error, "exit_code", EXIT_FAILED))
    except OSError as error:
        if error.errno in OUT_OF_DESCRIPTORS:
            _say(f"Error: {NoDescriptor()}")
        elif error.errno == errno.ENOSPC:
            _say("Error: no space is left where the output goes")
        elif error.errno == errno.ENOENT and _is_nowhere():
            _say("Error: the current directory does not exist any more: go to another")
        elif error.errno != errno.EPIPE and not _let_go_of_dead_streams():
            _unforeseen(error)
        return EXIT_FAILED
    except UnicodeEncodeError as error:
        _say(f"Error: {not_utf8(error)}")
        return EXIT_USAGE
    except Exception as error:  # noqa: BLE001 - the last edge: what was not foreseen must still be a sentence
        _unforeseen(error)
        return EXIT_FAILED
    return result if isinstance(result, int) else EXIT_DONE


def _is_nowhere() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - `Path.cwd` is no other
    except FileNotFoundError:
        return True
    return False


def _let_go_of_dead_streams() -> bool:
    """Give what cannot be written any more to the null device, so that the exit code stays ours; return whether there was such.

    Whoever read it has left, or its terminal was closed: there is nobody to tell.
    """
    dead = False
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            dead = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return dead


def _say(sentence: str) -> None:
    with suppress(OSError):
        click.echo(sentence, err=True)


def fill_missing_streams() -> None:
    """Give a program that was started with stdin, stdout or stderr closed the null device there: nothing else may take their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8", closefd=False))


def _unforeseen(error: Exception) -> None:
    _say(f"Error: something unforeseen happened ({type(error).__name__}: {error}){_remember()}")


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
