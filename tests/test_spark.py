"""A wave on a Spark cluster gives the scores of the embedded engine, to the last bit, and leaves the session as it was.

Every test but the first runs with everything alone: the cluster takes ten seconds to start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import spark_cluster
from small import codebook_of
from test_block_sums import same
from test_engines import CASES, FEW, PERIOD, TWO, UNITS, answers_for, arrow
from test_multiple_choice import CODEBOOK

import dj_analysis as dj
from dj_analysis.errors import DataError, UsageError
from dj_analysis.measure.survey_scores import joint_counts

pytestmark = pytest.mark.filterwarnings("ignore::dj_analysis.errors.DjWarning")
everything = pytest.mark.everything


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if lacking := spark_cluster.missing():
        pytest.skip(lacking)
    with spark_cluster.session(tmp_path_factory.mktemp("spark")) as session:
        yield session


def on_cluster(spark, frame: pd.DataFrame, parts: int = 3):
    return spark.createDataFrame(arrow(frame)).repartition(parts)


def surveys(spark, frame: pd.DataFrame, codebook, units=UNITS, parts: int = 3):
    """The same answers on Spark and in memory."""
    frames = (on_cluster(spark, frame, parts), arrow(frame))
    return [dj.read_survey(one, codebook, units=units, period=PERIOD) for one in frames]


def equal_scores(ours, theirs) -> None:
    for one, other in ((ours, theirs), (ours.shares, theirs.shares), (ours.response, theirs.response)):
        pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)
    for axis, sums in theirs.sums.items():
        same(ours.sums[axis], sums)


def read_as(case: str) -> tuple[pd.DataFrame, Any]:
    table, answers, weight = CASES[case]
    frame = answers.assign(age=np.where(np.arange(len(answers)) % 3 == 0, None, "青年"))
    return frame[[name for name in frame if name != "w" or weight]], codebook_of(table, weight=weight, group="age")


@pytest.mark.parametrize("case", [case if case == "forms" else pytest.param(case, marks=everything) for case in CASES])
def test_scores_are_those_of_the_embedded_engine_to_the_last_bit(case: str, spark):
    frame, codebook = read_as(case)
    cluster, embedded = surveys(spark, frame, codebook)
    by = ["city", "branch", "age", ("city", "age")]
    scores = dj.score(embedded, by=by)
    assert scores.response.table["n"].iloc[0] == len(frame)
    equal_scores(dj.score(cluster, by=by), scores)


@everything
@pytest.mark.parametrize("kind", ["no rows", "one row, many parts", "units of the data", "columns of floats"])
def test_other_waves_give_the_same_too(kind: str, spark):
    frame, codebook = read_as("forms")
    frame = {"no rows": frame.iloc[:0], "one row, many parts": frame.iloc[4:5]}.get(kind, frame)
    units = None if kind == "units of the data" else UNITS
    if kind == "columns of floats":
        given = spark.createDataFrame(frame.astype(object).where(frame.notna(), None).to_dict("records"))
        assert dict(given.dtypes)["a1"] == "double"
        cluster = dj.read_survey(given, codebook, units=units, period=PERIOD)
        embedded = dj.read_survey(arrow(frame), codebook, units=units, period=PERIOD)
    else:
        cluster, embedded = surveys(spark, frame, codebook, units, parts=5)
    equal_scores(dj.score(cluster), dj.score(embedded))
    pd.testing.assert_frame_equal(joint_counts(cluster), joint_counts(embedded), check_exact=True)


def refusal(survey) -> tuple[str, list[dict]]:
    with pytest.raises((DataError, UsageError)) as caught:
        dj.score(survey, by="branch")
    problems = getattr(caught.value, "problems", None)
    return str(caught.value), problems.table.to_dict("records") if problems is not None else []


@everything
@pytest.mark.parametrize("flaw", ["answer", "weight", "no weight", "unit", "text"])
def test_what_is_wrong_is_told_in_the_same_words(flaw: str, spark):
    frame = FEW.copy()
    if flaw == "answer":
        frame.loc[3, ["a", "b"]] = [9, -99]
    elif flaw == "weight":
        frame.loc[3, "w"] = -0.5
    elif flaw == "no weight":
        frame.loc[3, "w"] = np.nan
    elif flaw == "unit":
        frame.loc[3, "unit"] = "nowhere"
    cluster, embedded = surveys(spark, frame, codebook_of(TWO, weight="w"))
    if flaw == "text":
        cluster = replace(cluster, frame=cluster.frame.withColumn("a", cluster.frame["a"].cast("string")))
        embedded = replace(embedded, frame=pl.from_arrow(embedded.frame).with_columns(pl.col("a").cast(pl.String)))
    told, problems = refusal(cluster)
    assert (told, problems) == refusal(embedded)
    assert len(problems) == {"answer": 2, "text": 0}.get(flaw, 1)


@everything
def test_a_wave_without_units_is_scored_as_a_whole(spark):
    cluster, embedded = surveys(spark, FEW.drop(columns=["unit", "w"]), codebook_of(TWO))
    equal_scores(dj.score(cluster), dj.score(embedded))


@everything
def test_the_session_keeps_its_settings_and_runs_on(spark):
    def settings() -> tuple[dict, dict]:
        return dict(spark.conf.getAll), dict(spark.sparkContext.getConf().getAll())

    before = settings()
    frame, codebook = read_as("forms, weighted")
    dj.score(surveys(spark, frame, codebook)[0])
    assert settings() == before
    assert before[0]["spark.sql.shuffle.partitions"] == "3"
    assert spark.range(5).count() == 5
    assert not spark.catalog.listTables()


@everything
def test_rows_stay_on_the_cluster_and_steps_that_need_them_are_refused(spark):
    frame, codebook = read_as("forms")
    cluster, _ = surveys(spark, frame, codebook)
    jobs = spark.sparkContext.statusTracker()
    before = set(jobs.getJobIdsForGroup(None))
    for step in (dj.screen, dj.reliability, lambda survey: dj.methods.weigh_to_headcount(survey, "branch")):
        with pytest.raises(UsageError, match=r"toArrow\(\).*scan_parquet"):
            step(cluster)
    assert set(jobs.getJobIdsForGroup(None)) == before


@everything
def test_choices_are_counted_and_weights_drawn_from_sums_alone(spark, tmp_path: Path):
    draw = np.random.default_rng(8)
    chosen = {f"Q9_{k}": draw.integers(0, 2, 60) for k in (1, 2, 3)} | {"A1": draw.integers(1, 6, 60)}
    placed = dict(zip(("R1_1", "R1_2", "R1_3"), draw.permuted(np.tile([1, 2, 3], (60, 1)), axis=1).T, strict=True))
    (tmp_path / "codebook.csv").write_text(CODEBOOK, encoding="utf-8")
    book = dj.read_codebook(tmp_path / "codebook.csv")
    frame = pd.DataFrame(chosen | placed | {"unit": draw.choice(["A", "B"], 60)})
    cluster, embedded = surveys(spark, frame, book)
    for question in ("Q9", "R1"):
        ours, theirs = (dj.choices(survey, question, by="branch").table for survey in (cluster, embedded))
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
        assert ours.set_index("unit").loc["ALL", "share" if question == "Q9" else "mean_place"].notna().all()
    frame, codebook = read_as("forms")
    cluster, embedded = surveys(spark, frame, codebook)
    drawn, expected = (dj.weigh(survey, method="critic").table for survey in (cluster, embedded))
    pd.testing.assert_frame_equal(drawn, expected, check_exact=False, rtol=0, atol=1e-12)


@everything
def test_one_collect_brings_the_sums_of_units_and_no_rows(spark, monkeypatch: pytest.MonkeyPatch):
    from pyspark.sql import DataFrame

    collected = []
    kind = type(spark.range(1))
    whole = kind.toArrow
    assert issubclass(kind, DataFrame)
    monkeypatch.setattr(kind, "toArrow", lambda frame: collected.append(whole(frame)) or collected[-1])
    table = CASES["forms"][0]
    survey = dj.read_survey(
        on_cluster(spark, answers_for(table, 0, 9, 3000).drop(columns="w"), 2), codebook_of(table), UNITS, PERIOD
    )
    collected.clear()
    dj.score(survey)
    (sums,) = collected
    assert sums.num_rows <= 2 * 4  # parts × units, those without one among them


@everything
def test_a_worker_that_fails_half_way_is_one_error(spark):
    frame, codebook = read_as("forms")
    given = on_cluster(spark, frame)

    def broken(batches):
        for batch in batches:
            if batch.num_rows:
                yield batch
                raise OSError("the disk of the worker is gone")

    given = given.mapInArrow(broken, given.schema)
    with pytest.raises(DataError) as caught:
        dj.score(dj.read_survey(given, codebook, units=UNITS, period=PERIOD))
    told = str(caught.value)
    assert "Spark did not finish: OSError: the disk of the worker is gone; " in told
    assert "\n" not in told
    assert spark.range(5).count() == 5


@everything
def test_a_damaged_file_is_one_error(spark, tmp_path: Path):
    spark.createDataFrame(pa.table({"a": [1, 5] * 500, "b": [0, 10] * 500, "unit": ["A"] * 1000})).write.parquet(
        str(tmp_path / "wave")
    )
    file = max((tmp_path / "wave").glob("*.parquet"), key=lambda path: path.stat().st_size)
    content = file.read_bytes()
    file.write_bytes(b"PAR1" + bytes(60) + content[64:])
    (file.parent / f".{file.name}.crc").unlink()
    with pytest.raises(DataError, match=r"FAILED_READ_FILE.* run again"):
        dj.score(dj.read_survey(spark.read.parquet(str(tmp_path / "wave")), codebook_of(TWO), UNITS, PERIOD))


@everything
def test_columns_that_spark_cannot_name_are_told(spark):
    given = spark.createDataFrame(pa.table({"1.a": [1], "unit": ["A"]}))
    with pytest.raises(UsageError, match=r"1\.a; .*toDF"):
        dj.read_survey(given, codebook_of(TWO), UNITS, PERIOD, columns={"a": "1.a"})
