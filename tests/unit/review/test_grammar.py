"""Every line of the table in rfcx_ssl/review/grammar.py."""

import pytest

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.review import grammar
from rfcx_ssl.review.grammar import Said, check_names, is_ruled_out, read_label

TIT, LARK, FROG = Said(0, 1, True), Said(1, 1, True), Said(2, 3, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Great Tit", TIT),
        ("  great tit ", TIT),
        ("yes", TIT),
        ("Y", TIT),
        ("no", TIT._replace(present=False)),
        ("N", TIT._replace(present=False)),
        ("-", TIT._replace(present=False)),
        ("-Great Tit", TIT._replace(present=False)),
        ("- great tit", TIT._replace(present=False)),
        ("-Sånglärka", LARK._replace(present=False)),
        ("Sånglärka", LARK),
        ("SÅNGLÄRKA", LARK),
        ("tfrog", FROG),
        ("Tree frog, small", FROG),
        ("tfrog_song4", Said(2, 4, True)),
        ("?", TIT._replace(present=None)),
        ("Great Tit?", TIT._replace(present=None)),
        ("perhaps a lark ?", TIT._replace(present=None)),
        ("", TIT._replace(present=None)),
    ],
)
def test_labels(text, said, names):
    assert read_label(text, "Great Tit", names) == said


@pytest.mark.parametrize(("text", "hint"), [("Great Tot", "did you mean 'great tit'"), ("-Grat Tit", "great tit")])
def test_unknown_species_are_refused(text, hint, names):
    with pytest.raises(ValueError, match=hint):
        read_label(text, "Great Tit", names)


@pytest.mark.parametrize(
    ("labels", "ruled_out"),
    [
        ([LARK], True),
        ([LARK, FROG], True),
        ([LARK._replace(present=False)], False),  # another one is absent: nothing about the tit
        ([LARK, TIT], False),
        ([LARK, TIT._replace(present=None)], False),
        ([], False),
    ],
)
def test_another_species_rules_out_the_one_asked_about(labels, ruled_out):
    assert is_ruled_out(labels, 0) is ruled_out


@pytest.mark.parametrize("name", ["no", "Yes", "-tit", "tit?", " ? ", "#1 tit"])
def test_names_that_read_as_answers_are_refused(name):
    with pytest.raises(ConfigError, match="reads as an answer"):
        check_names(["Great Tit", name])


def test_what_people_are_told_is_what_the_table_says():
    for word in ("no", "-NAME", "?", "OTHER NAME"):
        assert word in grammar.GRAMMAR
