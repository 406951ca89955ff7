"""Source of the CDK, read without a disk."""

from __future__ import annotations

from collections.abc import Collection
from textwrap import dedent

from keepalign.model.setting import Default, Explicit, Unknown
from keepalign.model.source import SourceText
from keepalign.readers._aws import AwsFragment
from keepalign.readers._reader import Read
from keepalign.readers.cdk.reader import read_source

TYPESCRIPT = """
import * as cdk from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as patterns from 'aws-cdk-lib/aws-ecs-patterns';

export class OrdersStack extends cdk.Stack {
  constructor(scope: Construct, id: string, props: OrdersProps) {
    super(scope, id, props);
BODY
  }
}
"""
PYTHON = """
from aws_cdk import Duration, Stack
from aws_cdk import aws_ecs as ecs, aws_elasticloadbalancingv2 as elbv2, aws_ecs_patterns as patterns


class OrdersStack(Stack):
    def __init__(self, scope, construct_id, props, **kwargs):
        super().__init__(scope, construct_id, **kwargs)
BODY
"""


def whole(frame: str, body: str) -> str:
    """A file with these statements in the constructor of its stack."""
    indent = "        " if frame is PYTHON else "    "
    lines = dedent(body).strip().splitlines()
    return frame.lstrip().replace("BODY", "\n".join(f"{indent}{line}" if line else "" for line in lines))


def read(name: str, text: str, listed: Collection[str] = ()) -> tuple[AwsFragment, SourceText]:
    """The fragment of one file."""
    source = SourceText(name, text.encode())
    fragment = read_source(source, listed)
    assert fragment is not None
    return fragment, source


def typescript(body: str, listed: Collection[str] = ()) -> tuple[AwsFragment, SourceText]:
    """Of statements in the constructor of a stack."""
    return read("lib/orders-stack.ts", whole(TYPESCRIPT, body), listed)


def python(body: str, listed: Collection[str] = ()) -> tuple[AwsFragment, SourceText]:
    """Likewise."""
    return read("orders/orders_stack.py", whole(PYTHON, body), listed)


def seconds(read: Read) -> float:
    """Of a value that is written, or that the CDK writes."""
    assert isinstance(read, Explicit | Default), read
    return read.value.seconds


def reason(read: Read) -> str:
    """Of a value that is not known."""
    assert isinstance(read, Unknown), read
    return read.reason
