"""The sample shop of `exporter demo`: seeded, so that everybody gets the same rows."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

SEED = 2024
CUSTOMERS = 2_000
PRODUCTS = 200
ORDERS = 100_000

SCHEMA = """
CREATE TABLE customers (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, city TEXT, country TEXT NOT NULL,
    created_on DATE NOT NULL
);
CREATE TABLE products (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, price DECIMAL(10, 2) NOT NULL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id),
    product_id INTEGER NOT NULL REFERENCES products (id), quantity INTEGER NOT NULL,
    total DECIMAL(12, 2) NOT NULL, status TEXT NOT NULL, note TEXT, ordered_at TIMESTAMP NOT NULL,
    shipped_on DATE
);
"""
INDEXES = """
CREATE INDEX orders_ordered_at ON orders (ordered_at);
CREATE VIEW order_details AS
    SELECT o.id, o.ordered_at, c.name AS customer, c.country, p.name AS product, o.quantity, o.total, o.status
    FROM orders o JOIN customers c ON c.id = o.customer_id JOIN products p ON p.id = o.product_id;
"""
CITIES = (("Zürich", "CH"), ("Köln", "DE"), ("São Paulo", "BR"), ("東京", "JP"), (None, "US"), ("Łódź", "PL"))
FIRST = ("Ada", "Björn", "Chloé", "Dmitri", "Eşref", "Fátima", "Grace", "Hồng", "Ivo", "Jón")
LAST = ("O'Brien", "Müller", "Nakamura", "da Silva", "Kowalski", "Ng", "Smith", "Ünal", "Åberg", "Zhou")
ADJECTIVES = ("Quiet", "Bright", "Folding", "Solid", "Light")
THINGS = ('Lamp 12"', "Desk", "Chair, oak", "Notebook", "Mug; large", "Pen", "Clock", "Shelf")
CATEGORIES = ("office", "home", "kitchen")
STATUSES = ("open", "paid", "shipped", "returned")
NOTES = (
    None,
    None,
    "",
    "Leave at the door",
    'Customer said: "ring twice"',
    "Line one\nline two",
    "5 > 3, quotes ' and \" and; separators, too",
    "=SUM(A1:A2) is only text",
    "Grüße aus Zürich 🚲",
)


def make_shop(path: Path) -> None:
    """Create the database at `path`, whole or not at all."""
    import apsw

    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    connection = apsw.Connection(str(partial))
    chance = random.Random(SEED)  # noqa: S311 - sample data
    with connection:
        connection.execute(SCHEMA)
        connection.executemany("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)", _customers(chance))
        connection.executemany("INSERT INTO products VALUES (?, ?, ?, ?)", _products(chance))
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _orders(chance))
        connection.execute(INDEXES)
    connection.close()
    partial.rename(path)


def _customers(chance: random.Random) -> Iterator[tuple[object, ...]]:
    for number in range(1, CUSTOMERS + 1):
        city, country = chance.choice(CITIES)
        name = f"{chance.choice(FIRST)} {chance.choice(LAST)}"
        joined = datetime(2019, 1, 1, tzinfo=UTC) + timedelta(days=chance.randrange(1500))
        yield number, name, f"customer{number}@example.com", city, country, joined.date().isoformat()


def _products(chance: random.Random) -> Iterator[tuple[object, ...]]:
    for number in range(1, PRODUCTS + 1):
        name = f"{chance.choice(ADJECTIVES)} {chance.choice(THINGS)}"
        yield number, name, chance.choice(CATEGORIES), chance.randrange(100, 50_000) / 100


def _orders(chance: random.Random) -> Iterator[tuple[object, ...]]:
    moment = datetime(2023, 1, 1, tzinfo=UTC)
    for number in range(1, ORDERS + 1):
        moment += timedelta(seconds=chance.randrange(1, 1200))
        quantity, cents = chance.randrange(1, 10), chance.randrange(100, 50_000)
        status = chance.choice(STATUSES)
        shipped = (moment + timedelta(days=chance.randrange(1, 9))).date().isoformat()
        yield (
            number,
            chance.randrange(1, CUSTOMERS + 1),
            chance.randrange(1, PRODUCTS + 1),
            quantity,
            quantity * cents / 100,
            status,
            chance.choice(NOTES),
            moment.strftime("%Y-%m-%d %H:%M:%S"),
            shipped if status in {"shipped", "returned"} else None,
        )
