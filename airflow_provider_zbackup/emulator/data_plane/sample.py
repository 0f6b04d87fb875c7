"""The data at the start: small, the same each time, and with vectors that mean something."""

from __future__ import annotations

import math
import random
from functools import cache
from itertools import cycle, product

from airflow_provider_zbackup.emulator.data_plane.collection_data import Field, Index, Row, RowsInMemory
from airflow_provider_zbackup.emulator.formats import Json

DIMENSIONS = 16

_FORMS = (
    "A short guide to {}",
    "What nobody tells you about {}",
    "How we moved to {} in a week",
    "The hidden cost of {}",
    "Ten lessons from a year of {}",
    "Why {} matters",
    "Getting started with {}",
    "{} in production",
)
_TOPICS = (
    "vector search",
    "full text search",
    "database backups",
    "database migrations",
    "data pipelines",
    "stream processing",
    "machine learning",
    "language models",
    "image recognition",
    "code review",
    "remote work",
    "home cooking",
    "slow travel",
    "urban gardening",
    "night photography",
)
_GOODS = ("chair", "desk", "lamp", "shelf", "clock", "mirror", "carpet", "sofa")
_COLOURS = ("red", "blue", "green", "white", "black")
_CITIES = ("Lisbon", "Osaka", "Nairobi", "Lima", "Oslo", "Hanoi")


def embed(text: str) -> list[float]:
    """
    Return a vector of length 1 for a text: the texts of two near vectors have words in common.

    It is the sum of one vector for each word, drawn at random, but the same each time.
    """
    total = [0.0] * DIMENSIONS
    for word in text.lower().split():
        dice = random.Random(word)  # noqa: S311 - not for security
        total = [value + dice.gauss(0, 1) for value in total]
    length = math.sqrt(sum(value * value for value in total))
    return [round(value / length, 6) for value in total]


@cache
def articles() -> RowsInMemory:
    """Return articles, whose vectors are those of their titles."""
    titles = [form.format(topic) for topic, form in product(_TOPICS, _FORMS)]
    return _collection(
        [
            {
                "id": number,
                "title": title[0].upper() + title[1:],
                "claps": number * 7919 % 1000,
                "responses": None if number % 9 == 0 else number % 40,
                "link": f"https://example.com/articles/{number}",
                "vector": embed(title),
            }
            for number, title in enumerate(titles)
        ],
        Field("title", "VarChar", params={"max_length": "512"}),
        Field("claps", "Int64"),
        Field("responses", "Int64", nullable=True),
    )


@cache
def products() -> RowsInMemory:
    """Return products, with all kinds of values."""
    names = [f"{colour} {goods}" for goods, colour in product(_GOODS, _COLOURS)]
    return _collection(
        [
            {
                "id": 1000 + number,
                "name": name,
                "price": number * 4.25 + 0.1,
                "in_stock": number % 3 > 0,
                "tags": name.split(),
                "details": {"sizes": [number, number + 1], "weight": number / 8},
                "vector": embed(name),
            }
            for number, name in enumerate(names)
        ],
        Field("name", "VarChar", params={"max_length": "64"}),
        Field("price", "Double"),
        Field("in_stock", "Bool"),
        Field("tags", "Array", element_type="VarChar", params={"max_capacity": "8", "max_length": "32"}),
        Field("details", "JSON"),
    )


@cache
def customers() -> RowsInMemory:
    """Return customers, with a text as the primary key."""
    rows: list[dict[str, Json]] = [
        {"id": f"customer-{number:03}", "city": city, "vector": embed(f"{city} {number}")}
        for number, city in zip(range(60), cycle(_CITIES), strict=False)
    ]
    return _collection(
        rows, Field("city", "VarChar", params={"max_length": "64"}), key_type="VarChar", key_length="32"
    )


@cache
def orders() -> RowsInMemory:
    """Return orders. Their keys are larger than a float can hold exactly."""
    return _collection(
        [
            {
                "id": 2**60 + number,
                "customer": f"customer-{number * 7 % 60:03}",
                "item": 1000 + number % 40,
                "vector": embed(f"order {number}"),
            }
            for number in range(300)
        ],
        Field("customer", "VarChar", params={"max_length": "32"}),
        Field("item", "Int64"),
    )


@cache
def quick_setup() -> RowsInMemory:
    """Return a few rows with nothing but a vector, and fields that are not in the schema."""
    return _collection(
        [
            {"id": number, "colour": colour, "vector": embed(colour)}
            for number, colour in enumerate(_COLOURS * 2)
        ]
    )


def _collection(
    rows: list[dict[str, Json]], *fields: Field, key_type: str = "Int64", key_length: str = ""
) -> RowsInMemory:
    key = Field("id", key_type, is_primary=True, params={"max_length": key_length} if key_length else {})
    vector = Field("vector", "FloatVector", params={"dim": str(DIMENSIONS)})
    by_key: dict[int | str, Row] = {row["id"]: row for row in rows}
    return RowsInMemory(
        (key, *fields, vector), by_key, (Index("vector", "vector", metric="COSINE"),), has_dynamic_fields=True
    )
