"""A Spark cluster of one master and one worker on this machine, and a session on it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

HERE = "127.0.0.1"


def missing() -> str:
    """What the cluster lacks on this machine, or ``""``."""
    try:
        import pyspark  # noqa: F401
    except ImportError:
        return "pyspark is missing: install the extra [spark]"
    return "" if shutil.which("java") else "Java is missing: install openjdk-17-jre-headless"


@contextmanager
def daemon(folder: Path, name: str, started: str, *arguments: str) -> Iterator[str]:
    """Run a process of Spark for as long as it is needed; yield what its log says when it has started."""
    import pyspark

    home = Path(pyspark.__file__).parent
    local = {"SPARK_LOCAL_IP": HERE, "SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable}
    log = folder / f"{name}.log"
    command = [str(home / "bin" / "spark-class"), *arguments]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **local}, cwd=folder
        )
    try:
        deadline = time.monotonic() + 180
        while (found := re.search(started, log.read_text())) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Spark's {name} did not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield found.group(0)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def session(folder: Path) -> Iterator[Any]:
    """A session on a cluster of its own, with settings of a user's own; everything is stopped at the end."""
    classes, anywhere = "org.apache.spark.deploy", ("--host", HERE, "--port", "0", "--webui-port", "0")
    with ExitStack() as held:
        url = held.enter_context(
            daemon(folder, "master", rf"spark://{HERE}:\d+", f"{classes}.master.Master", *anywhere)
        )
        size = ("--cores", "2", "--memory", "1g", "--work-dir", str(folder / "work"))
        registered = "Successfully registered with master"
        held.enter_context(daemon(folder, "worker", registered, f"{classes}.worker.Worker", *anywhere, *size, url))
        from pyspark.sql import SparkSession

        os.environ["PYSPARK_PYTHON"] = sys.executable
        builder = SparkSession.builder.master(url).appName("tests")
        settings = {
            "spark.driver.bindAddress": HERE,
            "spark.driver.host": HERE,
            "spark.ui.enabled": "false",
            "spark.executor.memory": "512m",
            "spark.sql.shuffle.partitions": "3",
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
        }
        for name, value in settings.items():
            builder = builder.config(name, value)
        spark = builder.getOrCreate()
        held.callback(spark.stop)
        yield spark
