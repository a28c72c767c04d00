"""Texts become index terms that a search finds again, in any script, and never in another scope."""

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.store.terms import QUERY_TERMS_MAX, index_text, match_expression, query_terms, words_of

TOKENIZER = "porter unicode61 remove_diacritics 2 categories 'L* N* Co Mc Mn'"


def found(text: str, query: str, *, number: int = 7, asked: int = 7) -> bool:
    """Whether any word of a query is found in a text, by the index that the store has."""
    connection = apsw.Connection(":memory:")
    connection.execute(
        f"create virtual table texts using fts5 (words, content = '', contentless_delete = 1, detail = none, "
        f'tokenize = "{TOKENIZER}")'
    )
    connection.execute("insert into texts (rowid, words) values (1, ?)", (index_text(number, words_of(text)),))
    return any(
        connection.execute("select rowid from texts where texts match ?", (match_expression(asked, term),)).fetchall()
        for term in query_terms(query)
    )


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("She was running home", "runs"),
        ("Die Straße ist naß", "straße"),
        ("un café à Orléans", "cafe orleans"),
        ("Обещание выполнено", "обещание"),
        ("我昨天买了一台咖啡机", "咖啡机"),
        ("東京都に住んでいます", "東京"),
        ("猫が好き", "猫"),
        ("好きな猫", "猫"),
        ("ラーメンを食べた", "ラーメン"),
        ("서울에서 만났다", "서울"),
        ("ฉันชอบกาแฟ", "กาแฟ"),
        ("मुझे हिन्दी पसंद है", "हिन्दी"),
        ("أحب القهوة", "القهوة"),
        ("the code is saudade-41-laranja", "saudade 41"),
        ("wide \uff21\uff22\uff11\uff12 letters", "ab12"),
        ("iPhone手机壳", "手机"),
        ("call parse_arguments()", "parse_arguments"),
        ("what is it", "what is it"),
    ],
)
def test_a_text_is_found_by_a_word_of_it(text: str, query: str):
    assert found(text, query)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("red wine", "ring"),
        ("We sing", "sang"),
        ("東京", "京東"),
        ("I am at home", "the and of who"),
        ("numbers 1 2 3", "23"),
    ],
)
def test_a_text_is_not_found_by_what_is_not_in_it(text: str, query: str):
    assert not found(text, query)


@given(st.text(max_size=60))
def test_every_text_is_found_by_itself_if_it_has_words(text: str):
    assert found(text, text) == bool(words_of(text))


@given(st.text(max_size=60), st.integers(1, 10_000), st.integers(1, 10_000))
def test_no_scope_sees_another(text: str, number: int, asked: int):
    if number != asked:
        assert not found(text, text, number=number, asked=asked)


def test_stop_words_are_left_out_unless_there_is_nothing_else():
    assert [term.text for term in query_terms("what was the name of the ship")] == ["name", "ship"]
    assert [term.text for term in query_terms("who was it")] == ["who", "was", "it"]


def test_a_query_is_bounded():
    assert len(query_terms(" ".join(f"word{number}" for number in range(500)))) == QUERY_TERMS_MAX
    assert query_terms("") == []
    assert query_terms("?!… ") == []
