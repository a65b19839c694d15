"""Arguments of the commands, and how each ends.

Exit codes: 0 fine, 1 the file is not what it should be or the check failed, 2 bad use.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from hozon.cli import commands
from hozon.cli.commands import BAD_USE, FAILED, FINE
from hozon.cli.completion import SHELLS, completion
from hozon.errors import ArgumentError, HozonError, MismatchError, did_you_mean

Run = Callable[[argparse.Namespace], int]


def program() -> int:
    """The command in a process of its own, where warnings are lines for people."""
    warnings.showwarning = lambda message, *_: print(f"hozon: warning: {message}", file=sys.stderr)
    return main()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parsed(parser(), arguments)
    try:
        code = _run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has seen enough
        _close_output()
        return FINE
    return code


def parsed(top: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; what is none of a command is named with the nearest."""
    options, unknown = top.parse_known_args(arguments)
    if unknown:
        wrong = next((word for word in unknown if word.startswith("-")), unknown[0])
        command: argparse.ArgumentParser = options.parser
        known = [name for action in command._actions for name in action.option_strings]  # noqa: SLF001
        command.error(f"unrecognized argument {wrong}{did_you_mean(wrong, known)}")
    return options


def _run(options: argparse.Namespace) -> int:
    run: Run = options.run
    try:
        return run(options)
    except BrokenPipeError:
        raise
    except (ArgumentError, MismatchError) as error:
        return _failed(error, options, BAD_USE)
    except (HozonError, OSError) as error:
        return _failed(error, options, FAILED)


def _failed(error: Exception, options: argparse.Namespace, code: int) -> int:
    if options.verbose:
        traceback.print_exception(error)
    if options.json:
        print(json.dumps({"error": commands.error_dict(error)}, indent=2))
    else:
        print(f"hozon: {error}", file=sys.stderr)
    return code


def _close_output() -> None:
    """Let Python's own flush at the end find an output that takes everything."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # noqa: TID251
    except (OSError, ValueError):  # not a file, as under a test
        return


class Version(argparse.Action):
    """``--version``, which is looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it and end."""
        import hozon

        print(f"hozon {hozon.__version__}")
        parser.exit()


class CommandParser(argparse.ArgumentParser):
    """The parser of a command; `more` gives the rest of its help, when that is shown."""

    more: Callable[[], str] | None = None

    def format_help(self) -> str:
        """The help, and what `more` says."""
        return super().format_help() + (self.more() if self.more is not None else "")


def _forms() -> str:
    from hozon.forms import FORMS

    lines = "\n".join(f"  {form.name:15} {form.label}" for form in FORMS)
    return f"\nvalues of --format:\n{lines}\n"


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="hozon",
        description="Look into, check, compare, convert and run saved Keras and TensorFlow models.",
        epilog="hozon COMMAND --help tells more of one, with examples.",
    )
    top.add_argument("--version", action=Version, nargs=0, help="print the version")
    added = top.add_subparsers(required=True, metavar="COMMAND", parser_class=CommandParser)
    _inspect(added)
    _verify(added)
    _diff(added)
    _report(added)
    _convert(added)
    _predict(added)
    _completion(added)
    return top


def _command(added: Any, name: str, run: Run, text: str, examples: Sequence[str]) -> CommandParser:
    """A command with what all have in common."""
    made: CommandParser = added.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog="examples:\n" + "\n".join(f"  hozon {name} {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--json", action="store_true", help="everything as JSON, errors too")
    loud = made.add_mutually_exclusive_group()
    loud.add_argument("-q", "--quiet", action="store_true", help="print errors alone")
    loud.add_argument("-v", "--verbose", action="store_true", help="print all there is")
    made.set_defaults(run=run, parser=made)
    return made


def _inspect(added: Any) -> None:
    made = _command(
        added,
        "inspect",
        commands.run_inspect,
        "what is in models, weights or checkpoints",
        ["my_model", "model.keras weights.h5", "my_model --json > my_model.json"],
    )
    made.add_argument("paths", metavar="PATH", nargs="+")


def _verify(added: Any) -> None:
    made = _command(
        added,
        "verify",
        commands.run_verify,
        "check every checksum, reference and shape; exit code 1 where something is damaged",
        ["my_model", "checkpoints/*.index", "model.keras --json"],
    )
    made.add_argument("paths", metavar="PATH", nargs="+")


def _diff(added: Any) -> None:
    made = _command(
        added,
        "diff",
        commands.run_diff,
        "what differs between two models, weights or checkpoints; exit code 1 where they differ",
        ["before.keras after.keras", "my_model my_model.h5 --rtol 1e-5", "a.h5 b.h5 --json"],
    )
    made.add_argument("a", metavar="A")
    made.add_argument("b", metavar="B")
    made.add_argument("--rtol", type=float, default=0.0, help="how far a value may move, of itself")
    made.add_argument("--atol", type=float, default=0.0, help="how far any value may move")


def _report(added: Any) -> None:
    made = _command(
        added,
        "report",
        commands.run_report,
        "one HTML page of a model, or of the difference of two, that needs nothing beside it",
        ["my_model -o my_model.html", "before.keras after.keras -o changes.html"],
    )
    made.add_argument("path", metavar="PATH")
    made.add_argument("other", metavar="PATH2", nargs="?", help="how this differs from PATH")
    made.add_argument(
        "-o", "--output", metavar="FILE", default="-", help="default: - for standard output"
    )


def _convert(added: Any) -> None:
    made = _command(
        added,
        "convert",
        commands.run_convert,
        "write models or weights in another form",
        [
            "my_model my_model.keras",
            "model.h5 for_tf_keras.keras --dialect keras2",
            "old.h5 new.keras --custom-objects my_layers:Attention --check",
            "*.h5 --out-dir converted --format keras",
            "folder --out-dir converted --format keras",
        ],
    )
    made.more = _forms
    made.add_argument("paths", metavar="SRC", nargs="+", help="and DST, without --out-dir")
    made.add_argument("--out-dir", metavar="DIR", help="where to, for several sources")
    made.add_argument("--format", metavar="NAME", help="default: by the suffix of DST; see below")
    made.add_argument("--dialect", metavar="KERAS", help="keras2 or keras3, where both can be")
    made.add_argument(
        "--no-overwrite", action="store_true", help="refuse to replace what is at DST"
    )
    made.add_argument(
        "--no-optimizer", action="store_true", help="leave training and its state out"
    )
    made.add_argument(
        "--card", action="store_true", help="write a README.md into a folder of a model"
    )
    made.add_argument(
        "--custom-objects",
        metavar="MODULE:NAME",
        action="append",
        default=[],
        help="a class or function of the model, imported from a module of yours; repeatable",
    )
    made.add_argument(
        "--check",
        action="store_true",
        help="run both on generated inputs; exit code 1 where they differ",
    )


def _predict(added: Any) -> None:
    made = _command(
        added,
        "predict",
        commands.run_predict,
        "run a signature, or a whole Keras model, on arrays from files",
        [
            "my_model --input x=x.npy --output answers",
            "model.keras --input x.csv --output answers.csv",
            "my_model --signature f --input words=w.txt --output -",
        ],
    )
    made.add_argument("path", metavar="PATH")
    made.add_argument("--signature", metavar="NAME", help="default: serving_default")
    made.add_argument(
        "--input",
        metavar="NAME=FILE",
        action="append",
        default=[],
        help="a .npy, .npz, .csv or .json file, a .txt file with one string a line, or - for "
        "standard input; once per input, or a file alone that names them",
    )
    made.add_argument(
        "--output",
        metavar="PATH",
        default=".",
        help="a folder for NAME.npy files, a .npz, .json or .csv file, or - for JSON on standard "
        "output (default: this folder)",
    )
    made.add_argument(
        "--custom-objects",
        metavar="MODULE:NAME",
        action="append",
        default=[],
        help="a class or function of the model; once for each",
    )


def _completion(added: Any) -> None:
    made = _command(
        added,
        "completion",
        _run_completion,
        "the script by which a shell completes commands and options",
        ["bash > ~/.local/share/bash-completion/completions/hozon", "fish | source"],
    )
    made.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def _run_completion(options: argparse.Namespace) -> int:
    print(completion(options.shell, parser()), end="")
    return FINE
