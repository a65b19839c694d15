"""Arguments, and what each command does with them.

Exit codes: 0 fine, 1 the file is not what it should be, 2 bad use.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from hozon.errors import ArgumentError, HozonError, MismatchError

FINE, FAILED, BAD_USE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except (ArgumentError, MismatchError) as error:
        print(f"hozon: {error}", file=sys.stderr)
        return BAD_USE
    except (HozonError, OSError) as error:
        print(f"hozon: {error}", file=sys.stderr)
        return FAILED
    return code


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="hozon", description="Look into and run saved Keras and TensorFlow models."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    inspect = commands.add_parser("inspect", help="what is in a model or checkpoint")
    inspect.add_argument("path", metavar="PATH")
    inspect.add_argument("--json", action="store_true", help="everything, as JSON")
    inspect.set_defaults(run=run_inspect)

    predict = commands.add_parser("predict", help="run a signature on arrays from files")
    predict.add_argument("path", metavar="PATH")
    predict.add_argument("--signature", metavar="NAME", help="default: serving_default")
    predict.add_argument(
        "--input",
        metavar="NAME=FILE",
        action="append",
        default=[],
        help="a .npy file, or a .txt file with one string a line; once per input",
    )
    predict.add_argument("--output", metavar="DIR", default=".", help="where NAME.npy files go")
    predict.set_defaults(run=run_predict)

    convert = commands.add_parser("convert", help="write a model or weights in another form")
    convert.add_argument("source", metavar="SRC")
    convert.add_argument("target", metavar="DST")
    convert.add_argument("--format", metavar="NAME", help="default: by the suffix of DST")
    convert.add_argument("--dialect", metavar="KERAS", help="keras2 or keras3, where both can be")
    convert.add_argument(
        "--no-overwrite", action="store_true", help="refuse to replace what is at DST"
    )
    convert.set_defaults(run=run_convert)
    return top


def run_inspect(options: argparse.Namespace) -> int:
    """``hozon inspect``."""
    from hozon.inspection import inspect

    info = inspect(options.path)
    if options.json:
        print(info.to_json())
        return FINE
    from hozon.cli.show import show

    show(info)
    return FINE


def run_convert(options: argparse.Namespace) -> int:
    """``hozon convert``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from hozon.conversion import convert

    report = convert(
        options.source,
        options.target,
        format=options.format,
        dialect=options.dialect,
        overwrite=not options.no_overwrite,
        progress=True,
    )
    print(report)
    return FINE


def run_predict(options: argparse.Namespace) -> int:
    """``hozon predict``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from hozon.prediction import predict, read_input, write_outputs

    inputs = dict(read_input(argument) for argument in options.input)
    outputs = predict(options.path, inputs, options.signature)
    for file in write_outputs(outputs, options.output):
        print(file)
    return FINE
