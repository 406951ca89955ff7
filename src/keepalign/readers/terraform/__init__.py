"""Reads a Terraform root module as HCL: what it says of balancers, target groups, services and tasks.

Text in, an `AwsFragment` out; nothing is guessed. Every timeout knows the expression that uses it, each
variable and local on the way, the literal that writes it, and where another value would be written.

    syntax      HCL text to a body; finds syntax errors
    json_syntax the same from `*.tf.json`
    convert     tree-sitter's tree to our structure and nodes, with the grammar's liberties put right
                (convert_templates: its templates; tree_text: bytes and places of its nodes)
    structure   bodies of arguments and blocks
    nodes       the nodes of expressions
    templates   escapes and the indentation of heredocs
    files       the files of a folder, override files merged, variables given in files
    project     what all modules of one reading share
    module      variables, locals, resources, outputs, child modules
    known_modules   modules of the registry that many call, by tables of their arguments
    relocation  what was read through them, with places of the caller's files
    instances   what `count` and `for_each` make
    evaluator   expressions to Values, on demand; rendering: its templates
    values      Value: known, null, or unknown with a reason
    trails      the way a Value took: passed on, reached into, computed
    choosing, functions, formatting, operators, types    what the evaluator knows how to compute
    jsontext, yamltext    texts that `jsondecode`, `yamldecode` and container definitions are
    blocks      arguments and nested blocks of one resource instance, `dynamic` expanded
    sites       Values to Reads: where a timeout is written, where another would be
    resources, containers, listener_rules    resource blocks to the dataclasses of `readers._aws`

The same from a plan as JSON, where every value is known that can be:

    plan        what `terraform show -json` prints, to the same (`_plan_…`: its JSON, values, references)
    combined    a plan and the files it was made of: the values of the one, the places of the other
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from keepalign.readers._aws import AwsFragment
from keepalign.readers.terraform.module import root_module
from keepalign.readers.terraform.project import Project
from keepalign.readers.terraform.resources import read_resources

__all__ = ["read_module"]


def read_module(
    files: Mapping[str, bytes], folder: str, *, loader: Callable[[str], Mapping[str, bytes]]
) -> AwsFragment:
    """What one root module says, local child modules included.

    Args:
        files: the root folder's files by name ("main.tf"), names below it ("templates/app.json") where
            at hand; others than Terraform's own are used by `file` and `templatefile` only.
        folder: the path of the root folder, as it shall be shown; the spans' files begin with it.
        loader: the files of another folder by name; empty, KeyError or OSError when there is no such folder.
            It is asked for local modules (beside or below `folder`) and for folders that hold a file read.

    Raises: ReadError: the first file that is not UTF-8, no valid HCL, or nested beyond reason.
    """
    return read_resources(root_module(Project(loader), files, folder))
