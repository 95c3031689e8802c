"""Tests of what is taken for the same model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from olla.catalog.aliases import Aliases
from olla.catalog.catalog import Catalog
from olla.domain.models import ListedModel
from tests.catalog.making import catalog_of, endpoint, named, reader

ONE, TWO = "sha256:" + "1" * 56 + "aaaaaaaa", "sha256:" + "2" * 56 + "bbbbbbbb"
MODELS = st.builds(ListedModel, st.sampled_from(["m", "M", "n", "m-bbbbbbbb"]), digest=st.sampled_from(["", ONE, TWO]))
A, B, C = endpoint("a"), endpoint("b"), endpoint("c")


class UnifyTests(SynchronousTestCase):
    """Entries made of listings."""

    def test_same_digest(self) -> None:
        """One digest under two names is one entry with both, and each name leads to both endpoints (B100)."""
        catalog = catalog_of({A: named("llama3:8b", digest=ONE), B: named("mine", digest=ONE)})
        (entry,) = catalog.entries()
        self.assertEqual(entry.names, ("llama3:8b", "mine"))
        self.assertEqual(len(entry.sources), 2)
        self.assertEqual(catalog.locate("mine").names, {"b": "mine", "a": "llama3:8b"})

    def test_lying_digests(self) -> None:
        """Models of different sizes are not the same, though a backend gives all of them one digest."""
        models = [ListedModel("x", digest=ONE, size=1), ListedModel("y", digest=ONE, size=2)]
        catalog = catalog_of({A: models})
        self.assertEqual([entry.id for entry in catalog.entries()], ["x", "y"])

    def test_same_name_other_digest(self) -> None:
        """One name for two models makes two entries, the second with the end of its digest in its id (B101)."""
        catalog = catalog_of({A: named("m", digest=ONE), B: named("m", digest=TWO), C: named("m")})
        first, second = catalog.entries()
        self.assertEqual((first.id, second.id), ("m", "m-bbbbbbbb"))
        self.assertEqual([s.endpoint.name for s in first.sources], ["a", "c"])
        self.assertEqual(catalog.locate("m-BBBBBBBB").names, {"b": "m"})
        self.assertEqual(set(catalog.locate("m").names), {"a", "b", "c"})

    def test_no_digest_comes_first(self) -> None:
        """A source without digest takes the first one that comes, and the second stays apart (B101)."""
        catalog = catalog_of({A: named("m"), B: named("m", digest=ONE), C: named("m", digest=TWO)})
        first, second = catalog.entries()
        self.assertEqual([s.endpoint.name for s in first.sources], ["a", "b"])
        self.assertEqual(second.id, "m-bbbbbbbb")

    def test_letter_case(self) -> None:
        """Names that differ in letter case alone are one entry (B102)."""
        catalog = catalog_of({A: named("Llama3:8B"), B: named("llama3:8b")})
        (entry,) = catalog.entries()
        self.assertEqual(entry.names, ("Llama3:8B", "llama3:8b"))
        self.assertEqual(catalog.locate("LLAMA3:8b").names, {"a": "LLAMA3:8b", "b": "LLAMA3:8b"})

    def test_order_of_arrival(self) -> None:
        """What entries are called depends on the endpoints' priority and name, not on who answered first."""
        listings = [(A, named("m", digest=ONE)), (B, named("m", digest=TWO))]
        for order in (listings, listings[::-1]):
            entries = catalog_of(dict(order)).entries()
            self.assertEqual([(e.id, e.facts.digest) for e in entries], [("m", ONE), ("m-bbbbbbbb", TWO)])

    def test_plain(self) -> None:
        """Without unification each spelling is an entry of its own, and still found in any case (K86, B51)."""
        catalog = catalog_of({A: named("M", digest=ONE), B: named("m", digest=ONE)}, unified=False)
        self.assertEqual([entry.id for entry in catalog.entries()], ["M", "m"])
        self.assertEqual(catalog.locate("M").names, {"a": "M"})
        both = catalog_of({A: named("Mine")}, unified=False)
        self.assertEqual(both.locate("mINE").names, {"a": "mINE"})

    @given(st.dictionaries(st.sampled_from("abc"), st.lists(MODELS, max_size=4)))
    def test_nothing_is_lost(self, listings: dict[str, list[ListedModel]]) -> None:
        """Each listed model is in just one entry, ids are unique, and id and names find the endpoints (B104)."""
        catalog = Catalog(reader(), Aliases({}))
        for name, models in listings.items():
            catalog.update(endpoint(name), models, 0.0, 0.0)
        entries = catalog.entries()
        wanted = {(name, model.name) for name, models in listings.items() for model in models}
        held = [(s.endpoint.name, s.model.name) for entry in entries for s in entry.sources]
        self.assertEqual(sorted(wanted), sorted(held))
        self.assertEqual(len({entry.id for entry in entries}), len(entries))
        for entry in entries:
            for name in (entry.id, *entry.names):
                found = catalog.locate(name.upper()).names
                self.assertTrue(found)
            for name in entry.names:
                self.assertLessEqual({s.endpoint.name for s in entry.sources}, set(catalog.locate(name).names))
