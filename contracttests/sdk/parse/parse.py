"""Parses every generated file of a language without a runtime here, and prints how many there are.

A file with a syntax error is a failure, and so is a broken copy of a file that the parser takes.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import tree_sitter_c_sharp
import tree_sitter_dart
from tree_sitter import Language, Node, Parser

GRAMMARS = {".cs": tree_sitter_c_sharp, ".dart": tree_sitter_dart}


def errors(node: Node) -> Iterator[Node]:
    """The innermost nodes that are no syntax of the language."""
    inner = [child for child in node.children if child.has_error]
    if not inner:
        yield node
    for child in inner:
        yield from errors(child)


def check(parser: Parser, file: Path) -> Iterator[str]:
    text = file.read_bytes()
    root = parser.parse(text).root_node
    if root.has_error:
        first = next(errors(root))
        yield f"{file}:{first.start_point.row + 1}: {first.text[:80]!r} is no syntax of the language"
    if not parser.parse(text + b"\n}").root_node.has_error:
        yield f"{file}: a brace too many is not noticed"


def main(folder: str, suffix: str) -> None:
    parser = Parser(Language(GRAMMARS[suffix].language()))
    files = sorted(Path(folder).rglob("*" + suffix))
    if not files:
        sys.exit(f"there is no *{suffix} in {folder}")
    if found := [problem for file in files for problem in check(parser, file)]:
        sys.exit("\n".join(found))
    print(len(files))


main(*sys.argv[1:])
