"""Tests of the catalogue."""

from __future__ import annotations

from time import process_time
from timeit import repeat

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from olla.catalog.aliases import Aliases
from olla.catalog.catalog import Catalog
from olla.domain.models import ListedModel
from tests.catalog.making import WALL, catalog_of, endpoint, named, reader

A, B = endpoint("a"), endpoint("b")


class LocateTests(SynchronousTestCase):
    """Where a model is."""

    def test_letter_case(self) -> None:
        """Names are found in any letter case, with unification and without, and stay as they came (B51, C48)."""
        for unified in (True, False):
            catalog = catalog_of({A: named("llama3:8b")}, unified=unified)
            located = catalog.locate("LLaMA3:8B")
            self.assertEqual((located.names, located.known), ({"a": "LLaMA3:8B"}, True))

    def test_spelled_by_somebody(self) -> None:
        """What one endpoint lists just so is that one's name: the others are asked by theirs (behaviour.md §10)."""
        catalog = catalog_of({A: named("Foo"), B: named("foo")})
        self.assertEqual(catalog.locate("foo").names, {"a": "Foo", "b": "foo"})

    def test_exact_first(self) -> None:
        """A name that is listed as asked for wins over one that differs in letter case (B46, §9)."""
        catalog = catalog_of({A: named("Foo", digest="1" * 64), B: named("foo", digest="2" * 64)})
        self.assertEqual(catalog.locate("foo").names, {"b": "foo"})
        self.assertEqual(set(catalog.locate("FOO").names), {"a", "b"})

    def test_own_name_first(self) -> None:
        """An endpoint that lists the asked name among several of the same model gets that one."""
        catalog = catalog_of({A: named("aaa", "zzz", digest="1" * 64)})
        self.assertEqual(catalog.locate("zzz").names, {"a": "zzz"})
        spelled = catalog_of({A: named("ZZZ", "zzz")})
        self.assertEqual(spelled.locate("zzz").names, {"a": "zzz"})

    def test_latest(self) -> None:
        """Ollama's ``:latest`` may be left out, unless somebody lists the name without it (issue 5, last paragraph)."""
        catalog = catalog_of({A: named("nomic-embed-text:latest", "m:latest", "n:7b"), B: named("m")}, {"x": ["m"]})
        self.assertEqual(catalog.locate("Nomic-Embed-Text").names, {"a": "nomic-embed-text:latest"})
        self.assertEqual(catalog.locate("m").names, {"b": "m"})
        self.assertEqual(catalog.locate("x").names, {"b": "m"})
        self.assertFalse(catalog.locate("n").known)

    def test_unknown(self) -> None:
        """What nobody lists is unknown, and not remembered."""
        catalog = catalog_of({A: named("m")})
        self.assertEqual((catalog.locate("x").known, dict(catalog.locate("x").names)), (False, {}))
        self.assertIsNot(catalog.locate("x"), catalog.locate("x"))
        catalog.update(B, named("x"), 5.0, WALL)
        self.assertTrue(catalog.locate("x").known)

    def test_filters(self) -> None:
        """A model that one endpoint's filter excludes is found at the other alone (B92)."""
        catalog = catalog_of({endpoint("a", exclude=("*LLAMA*",)): named("llama3", "phi"), B: named("llama3")})
        self.assertEqual(catalog.locate("llama3").names, {"b": "llama3"})
        self.assertEqual(catalog.locate("phi").names, {"a": "phi"})

    def test_hot_lookup(self) -> None:
        """A model asked for before costs a lookup in a dictionary, well under a microsecond."""
        catalog = catalog_of({A: named("m")})
        catalog.locate("m")
        self.assertLess(min(repeat(lambda: catalog.locate("m"), number=10_000, repeat=5)) / 10_000, 2e-6)
        self.assertIs(catalog.locate("m"), catalog.locate("m"))


class AliasTests(SynchronousTestCase):
    """Configured names."""

    def test_first_listed_name(self) -> None:
        """Each endpoint gets the first of the alias's names that it lists (B53, §7.2)."""
        catalog = catalog_of({A: named("one", "two"), B: named("two")}, {"fast": ["one", "two"]})
        located = catalog.locate("fast")
        self.assertEqual((located.names, located.alias), ({"a": "one", "b": "two"}, "fast"))

    def test_letter_case(self) -> None:
        """An alias is found in any letter case, the same case first (B55)."""
        catalog = catalog_of({A: named("one", "two")}, {"My-Coder": ["one"], "my-coder": ["two"]})
        self.assertEqual(catalog.locate("My-Coder").names, {"a": "one"})
        self.assertEqual(catalog.locate("my-coder").names, {"a": "two"})
        self.assertEqual(catalog.locate("MY-CODER").alias, "My-Coder")

    def test_before_models(self) -> None:
        """An alias wins over a model of its name, and may list that model itself (K78, §10)."""
        catalog = catalog_of({A: named("m", "n")}, {"m": ["n"]})
        self.assertEqual(catalog.locate("m").names, {"a": "n"})
        itself = catalog_of({A: named("m"), B: named("n")}, {"m": ["m", "n"]})
        self.assertEqual(itself.locate("m").names, {"a": "m", "b": "n"})

    def test_one_level(self) -> None:
        """An alias of an alias finds nothing (K78)."""
        catalog = catalog_of({A: named("m")}, {"a": ["b"], "b": ["m"]})
        self.assertFalse(catalog.locate("a").known)
        self.assertTrue(catalog.locate("b").known)

    def test_dead_alias(self) -> None:
        """An alias whose names nobody lists is an ordinary name (B54, §10)."""
        catalog = catalog_of({A: named("fast")}, {"fast": ["gone"], "slow": ["gone"]})
        located = catalog.locate("fast")
        self.assertEqual((located.names, located.alias), ({"a": "fast"}, ""))
        self.assertFalse(catalog.locate("slow").known)

    def test_renamed(self) -> None:
        """Other aliases hold at once (K61)."""
        catalog = catalog_of({A: named("m")}, {"old": ["m"]})
        self.assertTrue(catalog.locate("old").known)
        catalog.rename(Aliases({"new": ["m"]}))
        self.assertFalse(catalog.locate("old").known)
        self.assertTrue(catalog.locate("new").known)


class UpdateTests(SynchronousTestCase):
    """Listings coming and going."""

    def test_removed_model(self) -> None:
        """A model that its only backend lists no more is gone from routing and from listings (B94, B105)."""
        catalog = catalog_of({A: named("m", "n")})
        self.assertTrue(catalog.locate("m").known)
        catalog.update(A, named("n"), 5.0, WALL)
        self.assertFalse(catalog.locate("m").known)
        self.assertEqual([entry.id for entry in catalog.entries()], ["n"])

    def test_empty_listing(self) -> None:
        """An empty listing is valid and takes all the endpoint's models away (§15)."""
        catalog = catalog_of({A: named("m"), B: named("m")})
        catalog.update(A, [], 5.0, WALL)
        self.assertEqual(catalog.locate("m").names, {"b": "m"})

    def test_forgotten_endpoint(self) -> None:
        """An endpoint that is no more takes its models with it."""
        catalog = catalog_of({A: named("m")})
        self.assertTrue(catalog.locate("m").known)
        catalog.forget(A)
        self.assertEqual(catalog.entries(), ())
        self.assertFalse(catalog.locate("m").known)

    def test_first_discovery(self) -> None:
        """The time of the first listing stays, whatever changes around it (§13.3)."""
        catalog = catalog_of({A: named("m")})
        catalog.update(A, named("m", "n"), 60.0, WALL + 60)
        catalog.update(A, named("m", size=5), 90.0, WALL + 90)
        catalog.update(endpoint("aa", priority=200), named("m"), 99.0, WALL + 99)
        self.assertEqual(catalog.entries()[0].created, int(WALL))
        self.assertEqual(catalog.seen("a"), WALL + 90)

    def test_unchanged_listing(self) -> None:
        """A listing that has not changed costs no new entries, and still counts as seen."""
        catalog = catalog_of({A: named("m", "n")})
        entries = catalog.entries()
        catalog.update(A, named("n", "m"), 60.0, WALL + 60)
        self.assertIs(catalog.entries(), entries)
        self.assertEqual(catalog.seen("a"), WALL + 60)

    def test_other_profile(self) -> None:
        """What an endpoint of unknown type turns out to be decides how its models are read."""
        unknown = endpoint("auto", "auto")
        catalog = catalog_of({unknown: named("x", family="qwen3")})
        self.assertEqual(catalog.entries()[0].facts.family, "qwen3")
        catalog.update(unknown, named("x", family="qwen3"), 1.0, WALL, "lm-studio")
        self.assertEqual(catalog.entries()[0].facts.family, "qwen")

    def test_named_twice(self) -> None:
        """Of two models with one name in a listing the first counts, and one without a name does not."""
        catalog = catalog_of({A: [ListedModel("m", size=1), ListedModel("m", size=2), ListedModel("")]})
        self.assertEqual([entry.facts.size for entry in catalog.entries()], [1])

    def test_unwritable(self) -> None:
        """A model that JSON cannot hold is left out, since it would take every listing down with it."""
        models = [ListedModel("a", description="\ud800"), ListedModel("b\udfff"), ListedModel("c")]
        self.assertEqual([entry.id for entry in catalog_of({A: models}).entries()], ["c"])

    def test_sweep(self) -> None:
        """Models of an endpoint that is down for too long go, those of one that is up stay (K79)."""
        catalog = catalog_of({A: named("m"), B: named("n")})
        catalog.sweep(3600.0, 3600.0, alive=())
        self.assertEqual(len(catalog.entries()), 2)
        catalog.sweep(3602.0, 3600.0, alive=("b",))
        self.assertEqual([entry.id for entry in catalog.entries()], ["n"])
        catalog.sweep(3602.0, 3600.0, alive=())
        self.assertEqual(catalog.entries(), ())

    def test_caps(self) -> None:
        """Neither one endpoint nor all together bring in more models than there is room for; the rest counts."""
        catalog = Catalog(reader(), Aliases({}), per_endpoint=3, total=5)
        catalog.update(A, named("a1", "a2", "a3", "a4"), 0.0, WALL)
        catalog.update(B, named("b1", "b2", "b3"), 0.0, WALL)
        self.assertEqual((len(catalog.entries()), catalog.left_out), (5, 2))
        self.assertEqual((catalog.count("a"), catalog.count("b"), catalog.count("c")), (3, 2, 0))
        self.assertFalse(catalog.locate("a4").known)
        catalog.update(A, named("a1"), 1.0, WALL)
        catalog.update(B, named("b1", "b2", "b3"), 1.0, WALL)
        self.assertEqual((len(catalog.entries()), catalog.left_out), (4, 0))

    def test_twenty_thousand(self) -> None:
        """A listing of 20 000 models is taken in about a second, and twice as many take twice as long (§15)."""

        def taken(count: int) -> float:
            models = [
                ListedModel(f"acme/llama-3.1-{n}", digest=f"{n:064x}", size=n, quantization="Q4_K_M")
                for n in range(count)
            ]
            catalog = Catalog(reader(), Aliases({}), per_endpoint=count)
            start = process_time()
            catalog.update(A, models, 0.0, WALL)
            self.assertTrue(catalog.locate(models[-1].name).known)
            return process_time() - start

        half, whole = taken(10_000), taken(20_000)
        self.assertLess(whole, 3.0)
        self.assertLess(whole, half * 4)


class CapableTests(SynchronousTestCase):
    """Which endpoints can do what."""

    def test_capabilities(self) -> None:
        """An endpoint can do what any of its models can (B45)."""
        catalog = catalog_of({A: named("llava", "phi"), B: named("nomic-embed-text")})
        self.assertTrue(catalog.capable("a", "vision"))
        self.assertFalse(catalog.capable("a", "embeddings"))
        self.assertTrue(catalog.capable("b", "embeddings"))
        self.assertFalse(catalog.capable("c", "vision"))

    def test_synonyms(self) -> None:
        """Capabilities have several names, with either kind of dash (§16)."""
        catalog = catalog_of({A: named("m-code", capabilities=("tool_use", "vision"))})
        for capability in (
            "function_calling",
            "tools",
            "image",
            "code_generation",
            "code",
            "vision_understanding",
        ):
            self.assertTrue(catalog.capable("a", capability), capability)
        self.assertFalse(catalog.capable("a", "streaming"))

    def test_evolved_endpoint(self) -> None:
        """An endpoint that is configured anew is read anew."""
        catalog = catalog_of({A: named("m")})
        catalog.update(evolve(A, model_exclude=("*",)), named("m"), 1.0, WALL)
        self.assertEqual(catalog.entries(), ())
