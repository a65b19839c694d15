"""What each command does; heavy modules are loaded by the one that needs them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hozon.errors import ArgumentError, HozonError

if TYPE_CHECKING:
    from hozon.reports import Report
    from hozon.verification import VerifyReport

FINE, FAILED, BAD_USE = 0, 1, 2


def error_dict(error: Exception) -> dict[str, Any]:
    """An error as JSON values."""
    if isinstance(error, HozonError):
        return error.to_dict()
    return {"type": type(error).__name__, "message": str(error), "text": str(error)}


def run_inspect(options: argparse.Namespace) -> int:
    """``hozon inspect``."""
    from hozon.cli.show import show
    from hozon.inspection import inspect

    return _each(options, inspect, lambda info: show(info, every=options.verbose))


def run_verify(options: argparse.Namespace) -> int:
    """``hozon verify``."""
    from hozon.verification import verify

    code = FINE

    def told(report: VerifyReport) -> None:
        print(report.text(sys.maxsize) if options.verbose else report)

    def checked(path: str) -> Report:
        nonlocal code
        report = verify(path)
        code = code if report.ok else FAILED
        return report

    return max(_each(options, checked, told), code)


def run_diff(options: argparse.Namespace) -> int:
    """``hozon diff``."""
    from hozon.comparison import diff

    report = diff(options.a, options.b, rtol=options.rtol, atol=options.atol)
    if options.json:
        print(report.to_json())
    elif not options.quiet:
        print(report.text(sys.maxsize) if options.verbose else report)
    return FINE if report.same else FAILED


def run_report(options: argparse.Namespace) -> int:
    """``hozon report``."""
    from hozon.page import report

    output = None if options.output == "-" else options.output
    page = report(options.path, output, other=options.other)
    if options.json:
        print(json.dumps({"output": output, "nbytes": len(page.encode())}, indent=2))
    elif output is None:
        print(page)
    elif not options.quiet:
        print(output)
    return FINE


def _each(
    options: argparse.Namespace, work: Callable[[str], Report], show: Callable[[Any], object]
) -> int:
    """Do something with each path; one that fails does not keep the next from its turn."""
    made: list[dict[str, Any]] = []
    failed: list[Exception] = []
    for path in options.paths:
        try:
            report = work(path)
        except ArgumentError:
            raise
        except (HozonError, OSError) as error:
            if len(options.paths) == 1:
                raise
            failed.append(error)
            made.append({"path": path, "error": error_dict(error)})
            if not options.json:
                print(f"hozon: {error}", file=sys.stderr)
            continue
        made.append(report.to_dict())
        if not options.json and not options.quiet:
            show(report)
    if options.json:
        print(json.dumps(made[0] if len(options.paths) == 1 else made, indent=2))
    return FAILED if failed else FINE


# Converting


@dataclass(frozen=True, slots=True)
class Conversion:
    """One conversion of several: what became of it."""

    source: str
    target: str
    done: bool
    told: str


def run_convert(options: argparse.Namespace) -> int:
    """``hozon convert``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    custom = dict(map(_imported, options.custom_objects))
    if options.out_dir is not None:
        return _convert_all(options, custom)
    if len(options.paths) != 2:
        raise ArgumentError(
            f"convert takes SRC and DST; {len(options.paths)} paths were given",
            argument="SRC",
            accepted="SRC DST, or SRC... --out-dir DIR --format NAME",
        )
    source, target = options.paths
    report = _converted(source, target, options, custom)
    told: dict[str, Any] = report.to_dict()
    check = _checked(source, target, custom) if options.check else None
    if check is not None:
        told["check"] = check.to_dict()
    if options.json:
        print(json.dumps(told, indent=2))
    elif not options.quiet:
        print(report if check is None else f"{report}\n{check}")
    return FINE if check is None or check.same else FAILED


def _convert_all(options: argparse.Namespace, custom: dict[str, Any]) -> int:
    from hozon.cli.show import show_conversions
    from hozon.raw.stores import make_folders

    if options.format is None:
        raise ArgumentError(
            "--out-dir needs --format", argument="--format", accepted="the name of a form"
        )
    make_folders(options.out_dir)
    done: list[Conversion] = []
    targets: set[str] = set()
    for source in [inner for path in options.paths for inner in _sources(path)]:
        try:
            target = ""
            target = _target(source, options)
            if target in targets:
                raise ArgumentError(f"another source has become {target}", argument="SRC")
            targets.add(target)
            report = _converted(source, target, options, custom)
            check = _checked(source, target, custom) if options.check else None
            told = "; ".join(line for line in str(check or report).splitlines()[1:]) or "done"
            done.append(Conversion(source, target, check is None or check.same, told))
        except (HozonError, OSError) as error:
            done.append(Conversion(source, target, False, str(error)))
    if options.json:
        items = [
            {"source": d.source, "target": d.target, "done": d.done, "told": d.told} for d in done
        ]
        print(json.dumps(items, indent=2))
    elif not options.quiet:
        show_conversions(done)
    return FINE if all(item.done for item in done) else FAILED


def _sources(path: str) -> list[str]:
    """A path, or what is in a folder that is no artifact itself: all that is, or is called so."""
    from hozon.forms import FORMS, claiming
    from hozon.raw.stores import is_directory, join, names

    if not is_directory(path) or next(claiming(path), None) is not None:
        return [path]
    ends = tuple(end for form in FORMS for end in form.suffixes)
    inside = [join(path, name) for name in sorted(names(path)) if not name.startswith(".")]
    return [
        inner
        for inner in inside
        if inner.endswith(ends) or (is_directory(inner) and next(claiming(inner), None) is not None)
    ] or [path]


def _target(source: str, options: argparse.Namespace) -> str:
    """Where a source goes: under its name, with the end of the form."""
    from hozon.conversion import form_to_convert
    from hozon.forms import FORMS
    from hozon.raw.stores import join, parent_and_name

    form = form_to_convert(FORMS[0], source, options.format)
    name = parent_and_name(source.rstrip("/"))[1]
    ends = sorted((end for known in FORMS for end in known.suffixes), key=len, reverse=True)
    stem = next((name.removesuffix(end) for end in (*ends, ".index") if name.endswith(end)), name)
    return join(options.out_dir, stem + (form.suffixes[0] if form.suffixes else ""))


def _converted(
    source: str, target: str, options: argparse.Namespace, custom: dict[str, Any]
) -> Report:
    from hozon.conversion import convert

    return convert(
        source,
        target,
        format=options.format,
        dialect=options.dialect,
        custom_objects=custom,
        overwrite=not options.no_overwrite,
        include_optimizer=not options.no_optimizer,
        card=options.card,
        progress=not options.quiet,
    )


def _checked(source: str, target: str, custom: dict[str, Any]) -> Any:
    from hozon.same_predictions import compare_predictions

    return compare_predictions(source, target, custom_objects=custom)


def _imported(text: str) -> tuple[str, Any]:
    """A class or function that the user names as ``module:Name``."""
    from importlib import import_module

    module, colon, name = text.partition(":")
    wanted = "module:Name, of a module that Python finds"
    if not colon or not module or not name:
        raise ArgumentError(f"--custom-objects {text}: give {wanted}", accepted=wanted)
    sys.path.insert(0, "")  # a module beside the user, as with `python -m`
    try:
        return name, getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ArgumentError(
            f"--custom-objects {text}: {error}; give {wanted}", accepted=wanted
        ) from error
    finally:
        sys.path.remove("")


# Running


def run_predict(options: argparse.Namespace) -> int:
    """``hozon predict``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from hozon.cli.arrays import STANDARD, read_inputs, write_outputs
    from hozon.prediction import predict

    inputs = read_inputs(options.input)
    custom = dict(map(_imported, options.custom_objects))
    outputs = predict(options.path, inputs, options.signature, custom or None)
    files = write_outputs(outputs, options.output)
    if options.output == STANDARD:
        return FINE
    if options.json:
        print(json.dumps({"files": files}, indent=2))
    elif not options.quiet:
        print("\n".join(files))
    return FINE
