"""Parses every sample in a folder as C#, and notices one that is broken."""

import sys
from pathlib import Path

import tree_sitter_c_sharp
from tree_sitter import Language, Parser

parser = Parser(Language(tree_sitter_c_sharp.language()))
if not parser.parse(b"using var x = new (;").root_node.has_error:
    sys.exit("the parser takes what is no C#")
broken = [sample.name for sample in sorted(Path(sys.argv[1]).iterdir()) if parser.parse(sample.read_bytes()).root_node.has_error]
if broken:
    sys.exit(f"no C#: {broken}")
