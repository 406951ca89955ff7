"""Makes Athena's table in Hive's catalogue and prints its rows, as JSON: run in a folder of its own.

Arguments: a folder with the statements and the objects, `tables.sql` and `2026/11/22/`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from keepalign.logs.sql import COLUMNS


def main(folder: Path) -> None:
    """One row a line, in the order of the file."""
    spark = (
        SparkSession.builder.master("local[1]")  # type: ignore[attr-defined, unused-ignore] # made by a decorator
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "600m")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .enableHiveSupport()
        .getOrCreate()
    )
    database, table = (folder / "tables.sql").read_text("utf-8").split(";\n")
    spark.sql(database)
    spark.sql(table)
    name = table.split("IF NOT EXISTS ")[1].split(" (")[0]
    place = f"file:{folder}/2026/11/22"
    spark.sql(f"ALTER TABLE {name} ADD PARTITION (day='2026/11/22') LOCATION '{place}'")
    for row in spark.sql(f"SELECT {', '.join(COLUMNS)} FROM {name} WHERE day = '2026/11/22'").collect():
        sys.stdout.write(json.dumps(list(row)) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
