"""Errors are told in one line that holds their exception."""

from __future__ import annotations

import traceback

from ablations.core.text import PRINTED, last_line


def raised(error: Exception) -> str:
    try:
        raise error
    except Exception as found:
        return "".join(traceback.format_exception(found))


def test_an_exception_of_several_lines_is_told_from_its_first() -> None:
    error = RuntimeError("Error(s) in loading state_dict for Net:\n\tMissing key a\n\n\tsize mismatch for b")
    told = "RuntimeError: Error(s) in loading state_dict for Net: Missing key a size mismatch for b"
    assert last_line(raised(error)) == told
    assert last_line(raised(error) + PRINTED + "epoch 1\n") == told
    assert last_line(raised(KeyError("x"))) == "KeyError: 'x'"


def test_of_a_chain_the_last_exception_is_told_and_of_a_syntax_error_its_reason() -> None:
    try:
        try:
            raise ValueError("first")
        except ValueError:
            compile("def :", "its.py", "exec")
    except SyntaxError as error:
        assert last_line("".join(traceback.format_exception(error))) == "SyntaxError: invalid syntax"


def test_of_other_text_the_last_line_that_is_not_blank_is_told_and_a_long_one_is_cut() -> None:
    assert last_line("it began\n  it ended badly \n\n") == "it ended badly"
    assert last_line(" \n") == last_line("") == "no reason recorded"
    assert last_line("x" * 300, 10) == "x" * 9 + "…"
