"""The ``edgekit`` command: a table of verbs, each imported when it is invoked."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # the current folder, or this one: neither is where modules are looked for

import errno
import os
from contextlib import suppress
from importlib import import_module
from signal import SIGPIPE
from types import TracebackType
from typing import NoReturn

import click

from edgekit import __version__
from edgekit.cli import console, signals
from edgekit.cli.leavings import Leavings
from edgekit.errors import EdgekitError, Interrupted, UsageError, did_you_mean
from edgekit.runtime import children

#: Verb -> what the list of verbs says of it. Its module ``edgekit.cli.VERB`` holds a click command named ``command``.
VERBS = {
    "init": "Write a commented project that builds.",
    "build": "Train, quantize, export, check and bundle a model.",
    "inspect": "Show what a bundle holds, or how two differ.",
    "run": "Run a bundle's model on a file.",
    "verify": "Check a bundle's files and outputs.",
    "profile": "Measure variants, engines and devices side by side.",
    "phone": "Try and measure a bundle in a phone's browser.",
    "report": "Render profiles again, several as one.",
    "compare": "Hold a new profile against an older one.",
    "integrate": "Write a starter for an app that runs a bundle.",
    "deploy": "Put a bundle on a device, ready to run.",
    "rollback": "Go back to what a device ran before.",
    "targets": "List the targets, or one target's facts.",
    "doctor": "Say what this machine can build and run.",
}


class _Verbs(click.Group):
    """Lists verbs from the table, so that ``--help`` imports none of them."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = import_module(f"edgekit.cli.{name}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise UsageError("EK-ARGUMENT", f"unknown verb {args[0]!r}", did_you_mean(args[0], VERBS))
        return super().resolve_command(context, args)

    def invoke(self, context: click.Context) -> None:
        try:
            super().invoke(context)
            console.show_document()
        except KeyboardInterrupt as stop:
            raise _Ended from stop
        except OSError as error:
            if signals.nobody_listens(error):
                raise _Ended from error
            if error.errno == errno.EPIPE:  # click takes every broken pipe for that
                raise RuntimeError("a program that edgekit was writing to has gone") from error
            raise


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="""\b
Examples:
  edgekit init digits                          a project to start from
  edgekit build digits --target rpi4           train, quantize, export, check
  edgekit run digits/build/digits-rpi4.edgekit --input photo.png
  edgekit profile digits/build/digits-rpi4.edgekit --quick
  edgekit VERB --help                          every verb has examples""",
)
@click.version_option(__version__, prog_name="edgekit")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Get a model from a desktop onto a Raspberry Pi or a phone, knowing what it will cost there."""
    context.obj = {"debug": debug}


class _Ended(Exception):
    """A verb was stopped, or nobody listens to it any more: what `click` would answer in its own way."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    os.environ.update(children.environment())  # libraries start programs, too
    sys.excepthook = _show_traceback
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # where a terminal lacks a letter of some label
    leavings = Leavings()
    signals.listen(leavings.clear)
    code = 1
    try:
        code = run(sys.argv[1:] if arguments is None else arguments, leavings)
    finally:
        signals.ignore()
        leavings.clear(processes=signals.received())
    if signals.received():
        _end(code)
    sys.exit(code)


def run(arguments: list[str], leavings: Leavings | None = None) -> int:
    """Run the command line; the exit code, one of `edgekit.errors.EXIT_CODES`."""
    debug = "--debug" in arguments
    fault: Exception | None = None
    console.expect_document("--json" in arguments)
    try:
        # A flag of the whole command is accepted after the verb too, where people type it.
        rest = [argument for argument in arguments if argument != "--debug"]
        cli.main(args=[*(["--debug"] if debug else []), *rest], prog_name="edgekit", standalone_mode=False)
        return 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except SystemExit:  # click's, when nobody listens to a text of help
        return _unheard()
    except (_Ended, KeyboardInterrupt, click.Abort) as ended:
        if isinstance(ended.__cause__, OSError):
            return _unheard()
        error: EdgekitError = _stopped()
    except click.ClickException as wrong:
        context = getattr(wrong, "ctx", None)
        hint = f"{context.command_path if context else 'edgekit'} --help has examples"
        error = UsageError("EK-ARGUMENT", wrong.format_message(), hint)
    except EdgekitError as foreseen:
        error = fault = foreseen
    except Exception as unforeseen:  # the outermost boundary: nothing foreseen reaches it
        if signals.received():  # within an import, which a library calls a fault
            error = _stopped()
        else:
            error, fault = _unforeseen(unforeseen), unforeseen
    if debug and fault is not None:
        _show_traceback(type(fault), fault, fault.__traceback__)
    _show(error, leavings)
    return signals.exit_code() if isinstance(error, Interrupted) else error.exit_code


def _stopped() -> Interrupted:
    return signals.stopped_with(hint="run the same command again to go on")


def _unheard() -> int:
    """As of a program that the signal has ended."""
    signals.mute()
    return 128 + SIGPIPE


def _end(code: int) -> NoReturn:
    """End without waiting for threads that still work, and without the last rites of libraries under their feet."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
    os._exit(code)


def _unforeseen(error: Exception) -> EdgekitError:
    if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("edgekit."):
        message = "this is edgekit as it is deployed to devices: it runs bundles, and no more"
        return EdgekitError("EK-MISSING-PACKAGE", message, "use this verb on a desktop")
    if isinstance(error, ModuleNotFoundError):
        from edgekit.runtime.packages import missing

        if (known := missing(error)) is not None:
            return known
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f"to write {error.filename}" if error.filename else "where something was to be written"
        return EdgekitError("EK-SPACE", f"no space is left {where}", "free some")
    message, hint = f"{type(error).__name__}: {error}", "--debug shows the traceback"
    return EdgekitError("EK-UNEXPECTED", message, hint, _keep_traceback(error))


def _show(error: EdgekitError, leavings: Leavings | None) -> None:
    """The last word, to a person and to a program."""
    if error.log and leavings:
        error.log = leavings.keep(error.log)
    lines = [f"error: {' '.join(error.message.split())} [{error.code}]"]
    lines += [f" hint: {error.hint}"] if error.hint else []
    lines += [f"  log: {error.log}"] if error.log else []
    with suppress(OSError):  # nobody listens
        console.say(*lines, alarm="error", err=True)
    try:
        console.show_document(error)
    except OSError:
        signals.mute()


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """As Python does, but for escapes in messages, which may be anybody's."""
    import traceback

    for text in traceback.format_exception(kind, error, trace):
        console.say(*text.rstrip("\n").split("\n"), err=True)


def _keep_traceback(error: Exception) -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="edgekit-", suffix=".log", delete=False, encoding="utf-8") as log:
        traceback.print_exception(error, file=log)
    return log.name


if __name__ == "__main__":
    main()
