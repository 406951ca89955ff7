"""Sessions of Spark, and its errors as ours."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from keepalign.errors import ReadError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def session(master: str = "") -> SparkSession:
    """The session that is running (spark-submit, Databricks, Glue), or else one on `master`.

    Args:
        master: of Spark; empty: all cores of this machine.
    Raises: UsageError: PySpark or Java is missing, or the session cannot start.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        hint = "pip install 'keepalign[spark]', and Java 17"
        raise UsageError("--engine spark needs PySpark", hint=hint) from error
    running = SparkSession.getActiveSession()
    if running is not None:
        return running
    home = os.environ.get("JAVA_HOME", "")
    if not (home and Path(home, "bin", "java").exists()) and shutil.which("java") is None:
        hint = "install Java 17 (Debian: apt-get install openjdk-17-jre-headless), or set JAVA_HOME to it"
        raise UsageError("--engine spark needs Java, and there is none", hint=hint)
    builder = SparkSession.builder.appName("keepalign").master(master or "local[*]")
    here = not master or master.startswith("local")
    if here:
        # Nothing of it should be heard beyond this machine.
        builder = (
            builder.config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.sql.shuffle.partitions", "8")
            .config("spark.ui.showConsoleProgress", "false")
            # Nothing is put there, but the folder is made.
            .config("spark.sql.warehouse.dir", str(Path(gettempdir(), "keepalign-spark")))
        )
    try:
        made = builder.getOrCreate()
        if here:
            # Not the first python3 of PATH: this one has keepalign.
            made.sparkContext.pythonExec = sys.executable
            made.sparkContext.setLogLevel("ERROR")
        return made
    except (PySparkException, RuntimeError, OSError) as error:
        hint = "PySpark 4 needs Java 17 or later: is JAVA_HOME set to it?"
        raise UsageError(f"Spark does not start: {_first_line(error)}", hint=hint) from error


@contextmanager
def translated(paths: Sequence[str]) -> Iterator[None]:
    """What Spark raises leaves as an error of ours."""
    from py4j.protocol import Py4JError  # type: ignore[import-untyped] # it has none
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        hint = "damaged gzip? `keepalign diagnose FILE` reads what is left; no access? see Spark's own log"
        if "No FileSystem for scheme" in str(error):
            hint = "plain Spark reads S3 as s3a://…, with --packages org.apache.hadoop:hadoop-aws"
        raise ReadError(f"Spark: {_first_line(error)}", file=", ".join(paths)[:200], hint=hint) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
