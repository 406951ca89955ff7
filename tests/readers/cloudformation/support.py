"""Templates as dictionaries of texts, read without a disk."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import SourceText
from keepalign.readers._aws import AwsFragment
from keepalign.readers._reader import Note, Read
from keepalign.readers.cloudformation import recognise
from keepalign.readers.cloudformation.reader import read_templates


def stacks(files: Mapping[str, str]) -> tuple[list[AwsFragment], list[Note], Mapping[str, SourceText]]:
    """The fragments of these files, what else is to be told, and the files."""
    sources = {name: SourceText(name, dedent(text).encode()) for name, text in files.items()}
    templates = [name for name, source in sources.items() if recognise(name, source.data[:4096])]
    fragments, notes = read_templates(templates, list(sources), sources.get)
    return fragments, notes, sources


def stack(text: str, **beside: str) -> tuple[AwsFragment, SourceText]:
    """One template called stack.yaml. `beside`: further files, with "__" for the dot of their names."""
    files = {"stack.yaml": text, **{name.replace("__", "."): held for name, held in beside.items()}}
    fragments, _, sources = stacks(files)
    (fragment,) = fragments
    return fragment, sources["stack.yaml"]


def balancer(value: str, *, before: str = "") -> str:
    """A template with one balancer whose idle timeout is written as `value`; `before`: other sections."""
    return f"""AWSTemplateFormatVersion: "2010-09-09"
{dedent(before).strip()}
Resources:
  LoadBalancer:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    Properties:
      Name: orders
      LoadBalancerAttributes:
        - Key: idle_timeout.timeout_seconds
          Value: {value}
"""


def idle(text: str, **beside: str) -> Read:
    """The idle timeout of a template's one balancer."""
    (found,) = stack(text, **beside)[0].load_balancers
    return found.idle_timeout


def seconds(read: Read) -> float:
    """Of a value that is written."""
    assert isinstance(read, Explicit), read
    return read.value.seconds


def reason(read: Read) -> str:
    """Of a value that is not known."""
    assert isinstance(read, Unknown), read
    return read.reason


def steps(read: Read) -> list[str]:
    """How a value came about, from its use to its literal."""
    assert isinstance(read, Explicit), read
    return [step.what for step in read.origin.steps]
