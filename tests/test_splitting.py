"""Ids have numbers in the order that Toloka has them in, so that a list can be cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_toloka.splitting import Scale, scale_of

SHAPES = {
    "of what is in a pool": "0000000000--000000000000000000000000",
    "UUID": "00000000-0000-0000-0000-000000000000",
    "ObjectId": "000000000000000000000000",
}
shapes = st.sampled_from([*SHAPES.values()]) | st.from_regex("0?-{0,2}0{1,9}-?0", fullmatch=True)
digits = st.sampled_from("0123456789abcdef")


@st.composite
def alike(draw: st.DrawFn, count: int = 2) -> list[str]:
    """Draw ids that are written alike; often they begin with the same digits."""
    shape = draw(shapes)
    same = draw(st.integers(0, len(shape)))
    begins = "".join(draw(digits) if place == "0" else place for place in shape[:same])
    return [
        begins + "".join(draw(digits) if place == "0" else place for place in shape[same:])
        for _ in range(count)
    ]


def scale(id_: str) -> Scale:
    """Return the scale of an id that has one."""
    found = scale_of(id_, str)
    assert found is not None
    return found


@given(alike(3))
def test_the_order_of_numbers_is_the_order_of_texts(ids: list[str]) -> None:
    assert sorted(ids, key=scale(ids[0]).to_number) == sorted(ids)


@given(alike(1))
def test_ids_have_no_numbers_where_only_toloka_knows_their_order(ids: list[str]) -> None:
    assert scale_of(ids[0], None) is None


@given(alike())
def test_the_number_of_an_id_leads_back_to_it(ids: list[str]) -> None:
    one, other = ids
    assert scale(one).to_id(scale(one).to_number(other)) == other


@given(alike(), st.data())
def test_what_is_between_two_numbers_is_between_the_ids(
    ids: list[str], data: st.DataObject
) -> None:
    first, last = sorted(ids)
    number_of = scale(first).to_number
    between = scale(first).to_id(data.draw(st.integers(number_of(first), number_of(last))))
    assert first <= between <= last
    assert len(between) == len(first)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_each_digit_counts(shape: str) -> None:
    found = scale(shape)
    assert found.to_number(shape) == 0
    assert found.to_number(f"{shape[:-1]}1") == 1
    assert found.to_number(f"{shape[:-2]}10") == 16
    assert found.to_id(16 ** shape.count("0") - 1) == shape.replace("0", "f")


@given(alike(1), shapes)
def test_an_id_that_is_written_otherwise_has_no_number(ids: list[str], shape: str) -> None:
    one, other = ids[0], shape
    alike = [c == "-" for c in one] == [c == "-" for c in other]
    for odd in [*([] if alike else [other]), f"0{one}", f"{one}0", one[1:], f"{one[:-1]}-", ""]:
        with pytest.raises(ValueError, match="is not written as"):
            scale(one).to_number(odd)


@pytest.mark.parametrize("odd", ["g123456789ab", "0123456789aя", "0123456789a\0"])
def test_an_id_of_other_letters_has_no_number(odd: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # int says it in its own words
        scale("0123456789ab").to_number(odd)


@pytest.mark.parametrize(
    "odd",
    [
        "0123456789aB",
        " 123456789ab",
        "0123456789a\n",
        "+123456789ab",
        "0_23456789ab",
        "0x23456789ab",
    ],
)
def test_an_id_that_only_python_would_read_has_no_number(odd: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        scale("0123456789ab").to_number(odd)


@pytest.mark.parametrize(
    "id_",
    [
        "",
        "-",
        "0123-",
        "0123ABCD",
        "000015FCCC--63bfc4c358d7a46c32a7b233",
        "8lvN9kBN4wwsj47ZqNal",
        "0x17",
        "1_000",
        " 17",
        "17\n",
        "٣",
    ],
)
def test_what_is_no_hexadecimal_has_no_scale(id_: str) -> None:
    assert scale_of(id_, str) is None


@given(st.integers(0, 10**20), st.integers(0, 10**20))
def test_a_number_is_its_own_scale(one: int, other: int) -> None:
    found = scale_of(str(one), int)
    assert found is not None
    assert found.to_number(str(other)) == other
    assert found.to_id(other) == str(other)
