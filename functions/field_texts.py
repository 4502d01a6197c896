"""The texts below the fields of the models, for the OpenAPI document.

pydantic's `use_attribute_docstrings` reads them when a model is made, which was a third of a cold start.
"""

import ast
import inspect
import textwrap
from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue


class Explained(GenerateJsonSchema):
    """JSON schemas whose fields have the text that stands below them in the source."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ANN401 - pydantic-core's own
        described = super().model_schema(schema)
        properties = described.get("properties", {})
        for kind in schema["cls"].__mro__:
            for name, text in _texts(kind).items():
                if name in properties:
                    properties[name].setdefault("description", text)
        return described


@cache
def _texts(model: type) -> dict[str, str]:
    if model.__module__.partition(".")[0] not in ("functions", "milepost"):
        return {}
    (source,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(source, ast.ClassDef)  # noqa: S101 - what getsource gives of a class
    texts = {}
    for field, below in zip(source.body, source.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            texts[field.target.id] = inspect.cleandoc(below.value.value)
    return texts
