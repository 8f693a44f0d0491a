"""Files of other programs, read without running any of them: settings as JSON or YAML-like text, code as a tree."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

from engine.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MISSING", "class_values", "classes_of", "literal", "read_json", "read_text", "read_tree"]

MOST_BYTES = 4 << 20
"""Largest settings or code file that is read."""
MISSING = object()
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r'("(?:\\.|[^"\\])*")|,(\s*[}\]])')


def read_text(file: Path) -> str:
    """The text of a file.

    Raises:
        DataError: It cannot be read, is too large, or is no text.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DataError(f"The file {file} is larger than {MOST_BYTES >> 20} MB; that is no settings or code file.")
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"The file {file} cannot be read: {error.strerror}. Check the path.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"The file {file} is no text in UTF-8.") from error


def read_json(file: Path) -> dict[str, Any]:
    """An object of a JSON file; comments and trailing commas are allowed.

    Raises:
        DataError: It is none.
    """
    text = _COMMENT.sub(lambda found: found[1] or "", read_text(file))
    text = _TRAILING.sub(lambda found: found[1] or found[2], text)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DataError(f"The file {file} is no JSON: {error}. Correct it and try again.") from error
    if not isinstance(found, dict):
        raise DataError(f"The file {file} holds no settings: an object is expected.")
    return found


def read_tree(file: Path) -> ast.Module:
    """The code of a Python file as a tree; nothing of it is run.

    Raises:
        DataError: It cannot be read or is no Python.
    """
    try:
        return ast.parse(read_text(file), filename=str(file))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise DataError(f"The file {file} is no Python that can be read: {error}.") from error


def classes_of(tree: ast.Module) -> list[ast.ClassDef]:
    """The classes of a module, as written."""
    return [node for node in tree.body if isinstance(node, ast.ClassDef)]


def literal(node: ast.AST | None, names: dict[str, Any] | None = None) -> Any:
    """The value of an expression of constants (numbers, texts, lists, dicts, + - * /); MISSING where it is more.

    Args:
        node: The expression.
        names: Values of names that may occur in it.
    """
    try:
        return _value(node, names or {})
    except (_NotConstantError, ArithmeticError, TypeError, ValueError, RecursionError):
        return MISSING


class _NotConstantError(Exception):
    pass


def _value(node: ast.AST | None, names: dict[str, Any]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name() if node.id in names:
            return names[node.id]
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, names)
        case ast.List() | ast.Tuple() | ast.Set():
            return [_value(part, names) for part in node.elts]
        case ast.Dict():
            pairs = zip(node.keys, node.values, strict=True)
            return {_value(key, names): _value(value, names) for key, value in pairs}
        case ast.BinOp():
            return _sum(node.op, _value(node.left, names), _value(node.right, names))
    raise _NotConstantError


def _sum(op: ast.operator, left: Any, right: Any) -> Any:
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        raise _NotConstantError
    match op:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
    raise _NotConstantError


def class_values(node: ast.ClassDef) -> dict[str, ast.expr]:
    """The values that a class gives to its own names, as expressions."""
    found: dict[str, ast.expr] = {}
    for part in node.body:
        if isinstance(part, ast.Assign):
            for target in part.targets:
                if isinstance(target, ast.Name):
                    found[target.id] = part.value
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name) and part.value is not None:
            found[part.target.id] = part.value
    return found
