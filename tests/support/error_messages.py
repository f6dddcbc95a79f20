"""The messages of all errors that the code can raise, read from its source: each place that makes one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import imgforge
from imgforge import errors

__all__ = ["RaisedMessage", "raised_messages"]

_ROOT = Path(imgforge.__file__).parent
# What is no part of the server.
_LEFT_OUT = ("testing",)
# The calls that make an error of another class, by their names: that class, and where the message is.
_MAKERS: dict[str, tuple[str, int | str]] = {
    **{name: (name, 0) for name in errors.__all__},
    "Unreadable": ("Unreadable", 1),
    "missing_endpoint": ("NotFound", 0),
    "ConcurrencyLimit": ("Overloaded", "message"),
    "NotAnEvent": ("BadRequest", 0),
}
# Places that pass on the message of another place, by file and expression: that place is in the list as well.
RELAYS = {
    ("cache/leased_coalescing.py", "message"),  # an error of another process
    ("processing/isolation/parent.py", "' '.join(words[1:])"),  # of a process that cleans an SVG
    ("queue/intake.py", "f'path {number}: {error.message}'"),  # of a path among several
    ("web/endpoints/prerendering.py", "str(error)"),  # NotAnEvent
    ("service/prerendering/worker_processes.py", "processes.reason"),  # of a worker process
    ("web/endpoints/monitoring.py", "message"),  # missing_endpoint
    ("concurrency/concurrency_limit.py", "self._message"),  # ConcurrencyLimit
}
# Functions that make a message, by name: the template of their result.
_FUNCTIONS = {"unknown_option": "unknown {} in {}", "did_you_mean": "{}", "_shown": "{}", "str": "{}", "repr": "{}"}
_REPEATED = re.compile(r"\{\}(?:\s*\{\})+")


class RaisedMessage(NamedTuple):
    """The class of an error, its message with {} for what varies, and where it is made."""

    error: str
    message: str
    place: str


@dataclass
class _Module:
    path: str
    tree: ast.Module
    constants: dict[str, ast.expr] = field(default_factory=dict)

    def messages(self) -> Iterator[RaisedMessage]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.constants.setdefault(node.targets[0].id, node.value)
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            error, where = _MAKERS.get(name, ("", 0))
            message = _argument(node, where)
            if not error or message is None or (self.path, ast.unparse(message)) in RELAYS:
                continue
            yield RaisedMessage(error, _normal(self._template(message)), f"{self.path}:{node.lineno}")

    def _template(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.JoinedStr):
            return "".join(map(self._template, node.values))
        if isinstance(node, ast.FormattedValue):
            constant = isinstance(node.value, ast.Name) and self.constants.get(node.value.id)
            text = isinstance(constant, ast.Constant) and isinstance(constant.value, str)
            return str(constant.value) if text and isinstance(constant, ast.Constant) else "{}"
        if isinstance(node, ast.Name) and node.id in self.constants:
            return self._template(self.constants[node.id])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
            return _FUNCTIONS[node.func.id]
        raise AssertionError(
            f"{self.path}:{node.lineno}: the message {ast.unparse(node)} cannot be read from the source"
        )


def _argument(node: ast.Call, where: int | str) -> ast.expr | None:
    if isinstance(where, str):
        return next((one.value for one in node.keywords if one.arg == where), None)
    return node.args[where] if len(node.args) > where else None


def _normal(template: str) -> str:
    return _REPEATED.sub("{}", " ".join(template.split()))


def raised_messages() -> list[RaisedMessage]:
    """All of them, in the order of the files."""
    found = []
    for path in sorted(_ROOT.rglob("*.py")):
        relative = str(path.relative_to(_ROOT))
        if relative.partition("/")[0] not in _LEFT_OUT and relative != "errors.py":
            found += list(_Module(relative, ast.parse(path.read_text("utf-8"))).messages())
    return found
