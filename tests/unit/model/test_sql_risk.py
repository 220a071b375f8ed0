# SPDX-License-Identifier: Apache-2.0
"""SQL is as grave as its gravest statement, wherever it hides."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.limits import SCRIPT_CHARS_MAX
from tallystick.model.sql_risk import is_sql, sql_grade


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("select * from t", "low"),
        ("SELECT 1; -- drop table x", "low"),
        ("select ';drop table x', \"delete\", `update`", "low"),
        ("select 'it''s ; drop table x'", "low"),
        ("explain select 1", "low"),
        ("pragma user_version", "low"),
        ("select * from t for update", "low"),
        ("with x as (select 1) select * from x", "low"),
        ("insert into t values (1)", "high"),
        ("insert into a(x) values(1) on conflict(x) do update set x=2", "high"),
        ("select * into b from a", "high"),
        ("update t set a=1 where b=2", "high"),
        ("update t set a=1 where x='a;b'", "high"),
        ("update t set a=1 where a=b", "high"),
        ("delete from t where id=1", "high"),
        ("with x as (delete from t where id=2 returning *) select * from x", "high"),
        ("create table t (a int)", "high"),
        ("alter table t add column c int", "high"),
        ("vacuum", "high"),
        ("delete from t", "critical"),
        ("DELETE\nFROM/**/t", "critical"),
        ("delete from t where 1=1", "critical"),
        ("delete from t where id=5 or 1=1", "critical"),
        ("delete from t where true", "critical"),
        ("delete from t using (select 1 where a=2) x", "critical"),
        ("update t set a=(select b from c where d=1)", "critical"),
        ("with x as (delete from t returning *) select * from x where 1=2", "critical"),
        ("explain analyze delete from t", "critical"),
        ("begin; delete from a; commit", "critical"),
        ("drop table x", "critical"),
        ("/* harmless */ drop table x", "critical"),
        ("select 1 /*! ; drop table x */", "critical"),
        ("truncate t", "critical"),
        ("select '\\'; drop table x; --'", "critical"),
        ("select '\\' or 1'; drop table x; --'", "critical"),
        ("delete/**/from t", "critical"),
        ("alter table t drop column c", "critical"),
        ("grant all on x to y", "critical"),
        ("revoke all on x from y", "critical"),
        ("create user bob", "critical"),
        ("copy t from program 'rm -rf /'", "critical"),
        ("select * into outfile '/x' from t", "critical"),
        ("select pg_read_file('/etc/passwd')", "critical"),
        ("exec xp_cmdshell 'dir'", "critical"),
    ],
)
def test_statements(text: str, level: str) -> None:
    """Mutation without a condition, DROP, GRANT and ways out are critical; reading is low."""
    grade = sql_grade(text)
    assert grade is not None
    assert grade.risk == level
    assert is_sql(text)


def test_nothing_is_nothing() -> None:
    """Neither an empty text nor a transaction's frame has a risk."""
    assert sql_grade("") is None
    assert sql_grade(" ; ;\n") is None
    assert sql_grade("begin; commit") is None


@pytest.mark.parametrize(
    "text", ["weather in paris", "is:open label:bug", "", "drop shipping", "update on it"]
)
def test_other_queries_are_no_sql(text: str) -> None:
    """What search tools are asked is not taken for SQL."""
    assert not is_sql(text)


def test_what_is_too_long_is_grave() -> None:
    """Length hides nothing."""
    grade = sql_grade("select 1 " + " " * SCRIPT_CHARS_MAX)
    assert grade is not None
    assert grade.risk == "critical"


@given(st.text(st.sampled_from("delt fromw'\"`;()-/*!=1#\\"), max_size=80))
def test_any_text_is_read(text: str) -> None:
    """No text brings out anything but a grade or none."""
    grade = sql_grade(text)
    assert grade is None or grade.reason.startswith("sql:")


@pytest.mark.parametrize(
    "unit", ["'", "''", '"', "/*", "--", "(", "where a", "delete (", ";", "\\'"]
)
def test_reading_takes_linear_time(unit: str) -> None:
    """The worst of the allowed length is read within seconds on any machine."""
    start = time.process_time()
    sql_grade(("delete " + unit * SCRIPT_CHARS_MAX)[:SCRIPT_CHARS_MAX])
    is_sql(unit * 1000)
    assert time.process_time() - start < 2
