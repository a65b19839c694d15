"""Models inside a model that were compiled by themselves: a GAN's discriminator, for one."""

from __future__ import annotations

from collections.abc import Sequence

from hozon.config.layers import Compiled
from hozon.config.outputs import outputs_of
from hozon.config.training import compile_arguments
from hozon.errors import FormatError, HozonError, UnsafeError
from hozon.keras_private.compiled import name_logs
from hozon.models.report import LoadReport
from hozon.reports import warn
from hozon.typing import CustomObjects


def compile_inner(
    inner: Sequence[Compiled], custom_objects: CustomObjects, report: LoadReport
) -> None:
    """Compile models inside of one as they were; one that cannot be is left so, which is told."""
    for model, config in inner:
        try:
            arguments = compile_arguments(
                config,
                custom_objects=custom_objects,
                report=report.converted,
                outputs=outputs_of(model),
                dialect="keras3",
            )
            model.compile(**arguments)
        except (FormatError, UnsafeError):
            raise
        except (HozonError, ValueError, TypeError) as error:
            report.lost.append(f"training configuration of {model.name!r} inside: {error}")
            warn(f"The model {model.name!r} inside was not compiled: {error}. Compile it manually.")
        else:
            name_logs(model)
