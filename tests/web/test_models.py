"""Tests of the pages that list models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from olla.catalog.formats import Formats, organizations
from olla.catalog.rules import Rules
from olla.domain.endpoint import Endpoint
from olla.domain.message import Request
from olla.domain.models import ListedModel
from olla.errors import InvalidFormat, InvalidParameter, ModelNotFound
from olla.web.models import ModelPages
from olla.web.page import Page
from tests.catalog.making import WALL, catalog_of, endpoint, named, views
from tests.golden.shape import page as golden

OLLAMA = endpoint("ollama-1", "ollama", 100)
STUDIO = endpoint("studio", "lm-studio", 90)
VLLM = endpoint("vllm-1", "vllm", 80)
LEMONADE = endpoint("lemon", "lemonade", 75)
LLAMACPP = endpoint("cpp", "llamacpp", 70)
SGLANG = endpoint("sgl", "sglang", 60)
SHAPES = (
    *("docker-model-runner", "lemonade", "llamacpp", "lmdeploy", "lmstudio"),
    *("ollama", "openai", "sglang", "vllm-mlx", "vllm"),
)
COMPATIBLE = frozenset({"ollama", "lm-studio", "vllm", "lemonade", "llamacpp", "sglang", "openai-compatible"})

LLAMA = ListedModel(
    "llama3.1:8b",
    size=4_920_753_328,
    digest="46e0c10c039e019119339687c3c1757cc81b9da49709a3b3924863ba87ca666e",
    family="llama",
    families=("llama",),
    format="gguf",
    parameter_size="8.0B",
    quantization="Q4_K_M",
    modified="2024-07-24T10:00:00Z",
)
FLEET: Mapping[Endpoint, Sequence[ListedModel]] = {
    VLLM: [ListedModel("meta-llama/Llama-3.1-8B", context=8192, created=1, extra=(("root", "/models/l"),))],
    OLLAMA: [
        LLAMA,
        ListedModel("nomic-embed-text:latest", family="nomic-bert"),
        ListedModel("shared", size=5),
    ],
    STUDIO: [
        ListedModel("shared", type="llm", state="loaded", family="qwen2", publisher="acme", context=4096),
        ListedModel("text-embedding-e5", type="embeddings", state="not-loaded"),
        ListedModel("qwen2-vl-7b", type="vlm", state="not-loaded", quantization="Q4_K_M"),
    ],
    LEMONADE: [
        ListedModel("Qwen2.5-0.5B", state="available", extra=(("checkpoint", "amd/Qwen2.5"), ("recipe", "oga-cpu")))
    ],
    LLAMACPP: [
        ListedModel(
            "shared",
            context=32768,
            parameters=7,
            size=5,
            extra=(("vocab_type", 2), ("n_vocab", 32000), ("n_embd", 4096)),
        )
    ],
    SGLANG: [ListedModel("qwen2.5-coder:7b", parent="base", capabilities=("vision",))],
}


def pages(
    listings: Mapping[Endpoint, Sequence[ListedModel]],
    down: Sequence[str] = (),
    aliases: Mapping[str, Sequence[str]] | None = None,
    unified: bool = True,
    list_aliases: bool = True,
) -> ModelPages:
    catalog = catalog_of(listings, aliases, unified)
    shown = views(*listings, down=down)
    formats = Formats(catalog, organizations(Rules()))
    shapes = {"ollama": "ollama", "lm-studio": "lmstudio", "vllm": "vllm"}
    return ModelPages(catalog, formats, lambda: shapes, lambda: shown, lambda: WALL + 60, list_aliases)


def asked(text: str) -> dict[bytes, list[bytes]]:
    parts = [part.split("=", 1) for part in text.split("&") if part]
    return {name.encode(): [value.encode()] for name, value in parts}


def content(page: Page) -> Any:
    return json.loads(page.body)


def ids(page: Page) -> list[str]:
    listing = content(page)
    return [model.get("id") or model["name"] for model in listing.get("data", listing.get("models"))]


def problems(name: str, page: Page) -> list[str]:
    sent = page.for_request(Request(b"GET", b"/", []))
    fields = {key.decode(): value.decode() for key, value in sent.fields}
    return golden(name, sent.status, fields, sent.body)


class GoldenTests(SynchronousTestCase):
    """The shapes that clients know."""

    def setUp(self) -> None:
        self.pages = pages(FLEET, down=("sgl",), aliases={"fast": ["shared"]})

    def test_formats(self) -> None:
        """Each format of /olla/models has the shape that its clients read (C97)."""
        for format in SHAPES:
            page = self.pages.unified(asked(f"format={format}&include_unavailable=true"))
            self.assertEqual(problems(f"olla-models-{format}", page), [])
            self.assertTrue(ids(page), format)

    def test_unified(self) -> None:
        """So has the unified listing, with unavailable models and without, and one model alone (C97)."""
        self.assertEqual(problems("olla-models", self.pages.unified({})), [])
        everything = self.pages.unified(asked("include_unavailable=true"))
        self.assertEqual(problems("olla-models-include-unavailable", everything), [])
        for id in ids(everything):
            self.assertEqual(problems("olla-models-id", self.pages.one(id, {})), [])

    def test_providers(self) -> None:
        """So have the listings under the providers' prefixes (C104, C107)."""
        for name, profile, format in [
            ("olla-ollama-api-tags", "ollama", "ollama"),
            ("olla-ollama-v1-models", "ollama", "openai"),
            ("olla-lm-studio-api-v0-models", "lm-studio", "lmstudio"),
            ("olla-lm-studio-v1-models", "lm-studio", "openai"),
            ("olla-vllm-v1-models", "vllm", "openai"),
            ("olla-lemonade-v1-models", "lemonade", "openai"),
            ("olla-anthropic-v1-models", "ollama", "anthropic"),
        ]:
            page = self.pages.listing(frozenset({profile}), format, {})
            self.assertEqual(problems(name, page), [])
            self.assertTrue(content(page).get("data") or content(page)["models"], name)

    def test_registry(self) -> None:
        """So has the operators' page, brief and detailed (§11.6)."""
        self.assertEqual(problems("internal-status-models", self.pages.registry({})), [])
        detailed = self.pages.registry(asked("detailed=true&group=family"))
        self.assertEqual(problems("internal-status-models-detailed", detailed), [])
        self.assertIn("model_groups", content(detailed))

    def test_nothing_known(self) -> None:
        """Without a model every page is an empty listing of the same shape (C100)."""
        empty = pages({})
        self.assertEqual(problems("olla-models", empty.unified({})), [])
        self.assertEqual(problems("olla-models-ollama", empty.unified(asked("format=ollama"))), [])
        self.assertEqual(problems("internal-status-models-detailed", empty.registry(asked("detailed=true"))), [])
        self.assertEqual(problems("olla-anthropic-v1-models", empty.listing(None, "anthropic", {})), [])


class UnifiedTests(SynchronousTestCase):
    """/olla/models."""

    def setUp(self) -> None:
        self.pages = pages(FLEET)

    def test_counts(self) -> None:
        """data and models are equal, total counts them, and the providers add up to at least that (C94)."""
        listing = content(self.pages.unified({}))
        self.assertEqual(listing["data"], listing["models"])
        self.assertEqual(listing["total"], len(listing["data"]))
        self.assertGreaterEqual(sum(listing["providers"].values()), listing["total"])
        self.assertEqual(listing["providers"]["lm-studio"], 3)

    def test_three_endpoints(self) -> None:
        """A model of three endpoints is listed once, with the state at each (C96)."""
        (shared,) = [m for m in content(self.pages.unified({}))["data"] if m["id"] == "shared"]
        self.assertEqual(
            shared["olla"]["availability"],
            [
                {"endpoint": "ollama-1", "state": "available"},
                {"endpoint": "studio", "state": "loaded"},
                {"endpoint": "cpp", "state": "unknown"},
            ],
        )
        self.assertEqual((shared["provider"], shared["endpoint"]), ("ollama", "ollama-1"))
        self.assertEqual((shared["context_window"], shared["max_tokens"]), (4096, 4096))

    def test_ids_are_routed(self) -> None:
        """Each id that is listed leads to endpoints when it is sent back (C95)."""
        one, two = "1" * 64, "2" * 64
        clashing = {OLLAMA: named("m", digest=one), endpoint("p2"): named("m", "x", digest=two)}
        for listings in (FLEET, clashing):
            listing = pages(listings, aliases={"fast": ["shared"]})
            found = ids(listing.unified({}))
            self.assertEqual(len(set(found)), len(found))
            for id in found:
                self.assertTrue(listing.catalog.locate(id).names, id)
        self.assertEqual(ids(pages(clashing).unified({})), ["m", "m-22222222"])

    def test_order_and_stability(self) -> None:
        """Listings are sorted by id and the same twice, byte for byte (C102)."""
        page = self.pages.unified({})
        self.assertEqual(ids(page), sorted(ids(page)))
        self.assertEqual(self.pages.unified({}).body, page.body)
        self.assertEqual(pages(FLEET).unified({}).body, page.body)

    def test_new_state_is_shown(self) -> None:
        """A page is made anew as soon as an endpoint or a listing changes (§13.7)."""
        before = self.pages.unified({})
        self.pages.catalog.update(VLLM, [], 99.0, WALL)
        self.assertNotIn("meta-llama/Llama-3.1-8B", ids(self.pages.unified({})))
        self.pages.statuses = lambda: views(*FLEET, down=[one.name for one in FLEET])
        self.assertEqual(ids(self.pages.unified({})), [])
        self.assertNotEqual(before.tag, self.pages.unified({}).tag)

    def test_unknown_format(self) -> None:
        """A format that does not exist is refused with the names of those that do (C97)."""
        error = self.assertRaises(InvalidFormat, self.pages.unified, asked("format=xyz"))
        self.assertIn("lmstudio", error.message)

    def test_spelling_of_formats(self) -> None:
        """Formats are found in any letter case and under their other names; an empty one is unified (§13.3)."""
        for one, other in [
            ("OpenAI", "openai"),
            ("lm_studio", "lmstudio"),
            ("llama.cpp", "llamacpp"),
            ("", "unified"),
        ]:
            given, usual = (self.pages.unified(asked(f"format={format}")) for format in (one, other))
            self.assertEqual(given.body, usual.body)

    def test_no_addresses(self) -> None:
        """No address of an endpoint appears anywhere (§13.4)."""
        self.assertNotIn(b"http:", self.pages.unified({}).body)


class FilterTests(SynchronousTestCase):
    """Query parameters of /olla/models."""

    def setUp(self) -> None:
        self.pages = pages(FLEET)

    def found(self, query: str) -> list[str]:
        return ids(self.pages.unified(asked(query)))

    def test_endpoint(self) -> None:
        """endpoint takes a name or an address; an unknown one has no models (C99)."""
        studio = ["qwen2-vl-7b", "shared", "text-embedding-e5"]
        self.assertEqual(self.found("endpoint=studio"), studio)
        self.assertEqual(self.found("endpoint=http://studio:11434"), studio)
        self.assertEqual(self.found("endpoint=nope"), [])

    def test_family(self) -> None:
        """family is compared in any letter case (§13.1)."""
        self.assertEqual(self.found("family=LLAMA"), ["llama3.1:8b", "meta-llama/Llama-3.1-8B"])
        self.assertEqual(self.found("family=lla"), [])

    def test_type(self) -> None:
        """Types are known from listings, families and names (C141)."""
        embeddings = self.found("type=embeddings")
        self.assertEqual(embeddings, ["nomic-embed-text:latest", "text-embedding-e5"])
        self.assertEqual(self.found("type=vlm"), ["qwen2-vl-7b", "qwen2.5-coder:7b"])
        self.assertIn("llama3.1:8b", self.found("type=llm"))
        self.assertTrue(set(embeddings).isdisjoint(self.found("type=llm")))
        self.assertEqual(self.found("type=nope"), [])

    def test_capability(self) -> None:
        """capability is another spelling of type and wins over it; an unknown one is ignored (§13.1)."""
        for capability, type_ in [("vision", "vlm"), ("vector_search", "embeddings"), ("chat", "llm")]:
            self.assertEqual(self.found(f"capability={capability}&type=nope"), self.found(f"type={type_}"))
        self.assertEqual(self.found("capability=code"), self.found(""))

    def test_available(self) -> None:
        """An idle Ollama model is available, one that LM Studio has not loaded is not; false is the rest (C98)."""
        available, rest = self.found("available=true"), self.found("available=false")
        self.assertIn("llama3.1:8b", available)
        self.assertEqual(rest, ["qwen2-vl-7b", "text-embedding-e5"])
        self.assertEqual(sorted(available + rest), self.found("include_unavailable=true"))
        for value in ("maybe", "TRUE"):
            error = self.assertRaises(InvalidParameter, self.pages.unified, asked(f"available={value}"))
            self.assertEqual(error.name, "available")
        self.assertEqual(self.found("available="), self.found(""))

    def test_together(self) -> None:
        """Filters hold all at once, and anything else in the query is ignored (C103)."""
        self.assertEqual(self.found("endpoint=studio&type=vlm&bogus=1"), ["qwen2-vl-7b"])
        self.assertEqual(self.found("endpoint=ollama-1&type=vlm"), [])
        self.assertEqual(self.found("bogus=1"), self.found(""))

    def test_all_down(self) -> None:
        """With every endpoint down the listing is empty, unless unavailable models are asked for (C100)."""
        down = pages(FLEET, down=[one.name for one in FLEET])
        for format in ("unified", "openai", "ollama", "lmstudio", "vllm"):
            self.assertEqual(ids(down.unified(asked(f"format={format}"))), [])
        listing = content(down.unified(asked("include_unavailable=true")))
        self.assertEqual(listing["total"], len(self.found("")))
        for model in listing["data"]:
            self.assertFalse(model["available"])
            self.assertEqual({a["state"] for a in model["olla"]["availability"]}, {"offline"})
        self.assertEqual(ids(down.unified(asked("available=false"))), self.found(""))


class OneTests(SynchronousTestCase):
    """/olla/models/{id}."""

    def setUp(self) -> None:
        self.pages = pages(FLEET, down=("vllm-1",), aliases={"Fast": ["shared", "llama3.1:8b"]})

    def test_lookup(self) -> None:
        """A model is found by id, with slashes in it, by alias, and in any letter case (C101, B104)."""
        for id, found in [
            ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B"),
            ("META-LLAMA/llama-3.1-8b", "meta-llama/Llama-3.1-8B"),
            ("fast", "Fast"),
            ("SHARED", "shared"),
        ]:
            self.assertEqual(content(self.pages.one(id, {}))["id"], found)

    def test_clashing_names(self) -> None:
        """Of two models with one name each is found by its own id."""
        clashing = pages({OLLAMA: named("m", digest="1" * 64), endpoint("p2"): named("m", digest="2" * 64)})
        self.assertEqual(content(clashing.one("m-22222222", {}))["endpoints"], ["p2"])
        self.assertEqual(content(clashing.one("m", {}))["endpoints"], ["ollama-1"])

    def test_unknown(self) -> None:
        """An unknown model is refused, and without an id the page is the listing (§13.5)."""
        self.assertRaises(ModelNotFound, self.pages.one, "nope", {})
        self.assertEqual(self.pages.one("", {}).body, self.pages.unified({}).body)

    def test_down(self) -> None:
        """A model whose endpoint is down is found, and not available (§13.5)."""
        model = content(self.pages.one("meta-llama/Llama-3.1-8B", asked("include_unavailable=true")))
        self.assertFalse(model["available"])
        self.assertEqual(
            model["availability"],
            {
                "status": "unavailable",
                "healthy_endpoints": [],
                "unhealthy_endpoints": ["vllm-1"],
                "total_endpoints": 1,
                "healthy_count": 0,
            },
        )

    def test_figures(self) -> None:
        """It tells what is known of the model, sizes of all sources together (§13.5)."""
        model = content(self.pages.one("shared", {}))
        self.assertEqual(model["total_disk_size"], "10 B")
        self.assertEqual(model["endpoints"], ["ollama-1", "studio", "cpp"])
        self.assertEqual(model["loaded_endpoints"], ["studio"])
        self.assertNotIn("availability", model)
        llama = content(self.pages.one("llama3.1:8b", {}))
        self.assertEqual((llama["parameter_count"], llama["quantization"]), (8_000_000_000, "q4km"))
        self.assertEqual(llama["last_seen"], "59s ago")


class ProviderTests(SynchronousTestCase):
    """Listings under a provider's prefix, and the shapes of their entries."""

    def setUp(self) -> None:
        self.pages = pages(FLEET)

    def listing(self, profile: str, format: str = "openai", query: str = "") -> Any:
        listing = content(self.pages.listing(frozenset({profile}), format, asked(query)))
        return listing.get("data", listing.get("models"))

    def test_own_models(self) -> None:
        """A provider lists the models of its own endpoints alone (C104, C105)."""
        self.assertEqual(
            [m["name"] for m in self.listing("ollama", "ollama")],
            ["llama3.1:8b", "nomic-embed-text:latest", "shared"],
        )
        self.assertEqual([m["id"] for m in self.listing("vllm")], ["meta-llama/Llama-3.1-8B"])
        everything = self.pages.listing(COMPATIBLE, "openai", {})
        self.assertEqual(ids(everything), ids(self.pages.unified(asked("format=openai"))))

    def test_own_names(self) -> None:
        """A model that others serve as well is listed under the name that works here (C108)."""
        digest = "1" * 64
        catalog = pages({OLLAMA: named("llama3:8b", digest=digest), VLLM: named("Meta/Llama", digest=digest)})
        page = catalog.listing(frozenset({"vllm"}), "openai", {})
        self.assertEqual(ids(page), ["Meta/Llama"])
        self.assertEqual(ids(catalog.unified({})), ["llama3:8b"])

    def test_discovered_elsewhere_first(self) -> None:
        """A model is in Ollama's and LM Studio's shapes whoever listed it first (C140)."""
        for format in ("ollama", "lmstudio"):
            self.assertIn("shared", ids(self.pages.unified(asked(f"format={format}"))))

    def test_down(self) -> None:
        """A model is listed while an endpoint of the provider is up, not when others alone are (§14)."""
        some = pages(FLEET, down=("ollama-1",))
        self.assertEqual(ids(some.listing(frozenset({"ollama"}), "openai", {})), [])
        self.assertIn("shared", ids(some.listing(frozenset({"lm-studio"}), "openai", {})))

    def test_filters(self) -> None:
        """The filters of /olla/models hold here too, format excepted (§14)."""
        self.assertEqual(
            [m["id"] for m in self.listing("ollama", "openai", "type=embeddings&format=xyz")],
            ["nomic-embed-text:latest"],
        )
        self.assertRaises(InvalidParameter, self.listing, "ollama", "openai", "available=x")

    def test_ollama(self) -> None:
        """An Ollama entry repeats what Ollama said (§13.3)."""
        (llama, *_) = self.listing("ollama", "ollama")
        self.assertEqual(
            llama,
            {
                "name": "llama3.1:8b",
                "model": "llama3.1:8b",
                "modified_at": "2024-07-24T10:00:00Z",
                "size": LLAMA.size,
                "digest": LLAMA.digest,
                "details": {
                    "parent_model": "",
                    "format": "gguf",
                    "family": "llama",
                    "families": ["llama"],
                    "parameter_size": "8.0B",
                    "quantization_level": "Q4_K_M",
                },
            },
        )
        shared = self.listing("ollama", "ollama")[-1]
        self.assertEqual((shared["size"], shared["modified_at"]), (5, "2023-11-14T22:13:21Z"))

    def test_lm_studio(self) -> None:
        """An LM Studio entry has type and state, and leaves out what is not known (§13.3)."""
        vl, shared, embedding = self.listing("lm-studio", "lmstudio")
        self.assertEqual((vl["type"], vl["state"], vl["quantization"]), ("vlm", "not-loaded", "Q4_K_M"))
        self.assertEqual((shared["publisher"], shared["arch"], shared["max_context_length"]), ("acme", "qwen2", 4096))
        self.assertEqual(embedding["type"], "embeddings")
        self.assertNotIn("arch", embedding)

    def test_extras(self) -> None:
        """vLLM's, SGLang's, Lemonade's and llama.cpp's own fields are passed on (§13.3)."""
        (vllm,) = self.listing("vllm", "vllm")
        self.assertEqual((vllm["root"], vllm["max_model_len"]), ("/models/l", 8192))
        self.assertEqual(vllm["permission"][0]["id"], "modelperm-olla-meta-llama-Llama-3.1-8B")
        (sglang,) = self.listing("sglang", "sglang")
        self.assertEqual((sglang["parent"], sglang["supports_vision"]), ("base", True))
        (lemonade,) = self.listing("lemonade", "lemonade")
        self.assertEqual(
            (lemonade["checkpoint"], lemonade["recipe"], lemonade["downloaded"]),
            ("amd/Qwen2.5", "oga-cpu", True),
        )
        (cpp,) = self.listing("llamacpp", "llamacpp")
        self.assertEqual((cpp["meta"]["n_ctx_train"], cpp["meta"]["n_vocab"]), (32768, 32000))

    def test_owners(self) -> None:
        """The owner is the first part of the name if that says who, else the provider (§13.3)."""
        owners = {m["id"]: m["owned_by"] for m in content(self.pages.unified(asked("format=vllm")))["data"]}
        self.assertEqual(owners["meta-llama/Llama-3.1-8B"], "meta-llama")
        self.assertEqual(owners["qwen2.5-coder:7b"], "qwen2.5")
        self.assertEqual(owners["shared"], "vllm")
        docker = content(self.pages.unified(asked("format=dmr")))["data"]
        self.assertIn("docker", {m["owned_by"] for m in docker})

    def test_one(self) -> None:
        """One model is an OpenAI entry, or refused when this provider has none of that name (§14)."""
        ollama = frozenset({"ollama"})
        self.assertEqual(content(self.pages.listed(ollama, "LLAMA3.1:8b"))["id"], "llama3.1:8b")
        self.assertEqual(content(self.pages.listed(ollama, "shared", "anthropic"))["type"], "model")
        self.assertRaises(ModelNotFound, self.pages.listed, ollama, "meta-llama/Llama-3.1-8B")

    def test_plain_names(self) -> None:
        """Without unification every listing still answers, with the backends' own names (C142, K86)."""
        plain = pages(FLEET, unified=False)
        self.assertEqual(ids(plain.unified({})), ids(self.pages.unified({})))
        for format in ("openai", "ollama", "lmstudio", "vllm"):
            self.assertEqual(plain.unified(asked(f"format={format}")).status, 200)


class AliasTests(SynchronousTestCase):
    """Aliases among the models."""

    ALIASES: Mapping[str, Sequence[str]] = {
        "fast": ["gone", "llama3.1:8b", "qwen2.5-coder:7b"],
        "dead": ["gone"],
        "shared": ["shared"],
    }

    def test_listed(self) -> None:
        """An alias that leads somewhere is one more entry in our own and OpenAI's shape alone (§13.6)."""
        listing = pages(FLEET, aliases=self.ALIASES)
        plain = ids(pages(FLEET).unified({}))
        self.assertEqual(ids(listing.unified({})), sorted([*plain, "fast"]))
        self.assertEqual(ids(listing.unified(asked("format=openai"))), sorted([*plain, "fast"]))
        self.assertNotIn("fast", ids(listing.unified(asked("format=vllm"))))
        fast = content(listing.one("fast", {}))
        self.assertEqual(fast["olla"]["alias_of"], ["llama3.1:8b", "qwen2.5-coder:7b"])
        self.assertEqual(fast["endpoints"], ["ollama-1", "sgl"])
        self.assertNotIn("alias_of", content(listing.one("shared", {}))["olla"])

    def test_under_a_prefix(self) -> None:
        """Under a prefix an alias is listed where its models are (§13.6, §14)."""
        listing = pages(FLEET, aliases=self.ALIASES)
        self.assertIn("fast", ids(listing.listing(frozenset({"sglang"}), "openai", {})))
        self.assertNotIn("fast", ids(listing.listing(frozenset({"vllm"}), "openai", {})))
        self.assertNotIn("fast", ids(listing.listing(frozenset({"ollama"}), "ollama", {})))

    def test_not_listed(self) -> None:
        """They are left out where the operator says so (§13.6)."""
        listing = pages(FLEET, aliases=self.ALIASES, list_aliases=False)
        self.assertNotIn("fast", ids(listing.unified({})))
        self.assertEqual(content(listing.one("fast", {}))["id"], "fast")


class AnthropicTests(SynchronousTestCase):
    """The Anthropic listing."""

    def setUp(self) -> None:
        self.pages = pages({OLLAMA: named("a", "b", "c", "d")})

    def listing(self, query: str) -> Any:
        return content(self.pages.listing(None, "anthropic", asked(query)))

    def test_pages(self) -> None:
        """limit, after_id and before_id give a part, and has_more says whether there is another (§15.5)."""
        for query, found, more in [
            ("", "abcd", False),
            ("limit=3", "abc", True),
            ("limit=2&after_id=b", "cd", False),
            ("limit=1&after_id=b", "c", True),
            ("before_id=c", "ab", False),
            ("limit=1&before_id=c", "b", True),
            ("after_id=d", "", False),
        ]:
            listing = self.listing(query)
            self.assertEqual("".join(m["id"] for m in listing["data"]), found, query)
            self.assertEqual(listing["has_more"], more, query)
            self.assertEqual(listing["first_id"], found[0] if found else None)
            self.assertEqual(listing["last_id"], found[-1] if found else None)

    def test_entries(self) -> None:
        """Entries are of type model and have a name to show (C115)."""
        entry = self.listing("limit=1")["data"][0]
        self.assertEqual(entry, {"type": "model", "id": "a", "display_name": "a", "created_at": "2023-11-14T22:13:20Z"})

    def test_bad_limit(self) -> None:
        """A limit that is none is refused (§15.5)."""
        for limit in ("0", "1001", "x", "-1", "²"):
            self.assertRaises(InvalidParameter, self.listing, f"limit={limit}")


class RegistryTests(SynchronousTestCase):
    """/internal/status/models."""

    def setUp(self) -> None:
        self.pages = pages(FLEET, down=("vllm-1",))

    def test_totals(self) -> None:
        """Models, families and endpoints are counted, be they up or down (§11.6)."""
        page = content(self.pages.registry({}))
        self.assertEqual((page["total_models"], page["total_endpoints"]), (8, 6))
        self.assertEqual(page["total_families"], len(page["models_by_family"]))
        self.assertEqual(page["models_by_family"]["llama"], ["llama3.1:8b", "meta-llama/Llama-3.1-8B"])
        self.assertNotIn("model_groups", page)

    def test_record(self) -> None:
        """A record tells what is known, and leaves the rest out (§11.6)."""
        records = {record["name"]: record for record in content(self.pages.registry({}))["recent_models"]}
        llama = records["llama3.1:8b"]
        self.assertEqual((llama["params"], llama["quant"], llama["size"]), ("8b", "Q4_K_M", "4.58 GB"))
        self.assertEqual((llama["endpoints"], llama["endpoint_ids"]), (["ollama-1"], ["id1"]))
        self.assertNotIn("type", llama)
        self.assertEqual(records["shared"]["endpoints"], ["cpp", "ollama-1", "studio"])
        self.assertEqual(records["shared"]["type"], "llm")
        self.assertEqual(records["shared"]["size"], "5 B")

    def test_recent(self) -> None:
        """The ten that were seen last come first, then by name (§11.6)."""
        many = pages({OLLAMA: named(*(f"m{n}" for n in range(20))), VLLM: named("z", "a")})
        recent = [record["name"] for record in content(many.registry({}))["recent_models"]]
        self.assertEqual(recent[:4], ["a", "z", "m0", "m1"])
        self.assertEqual(len(recent), 10)

    def test_groups(self) -> None:
        """Groups are by family, unknown last, and appear when both parameters are given (§11.6)."""
        self.assertNotIn("model_groups", content(self.pages.registry(asked("detailed=true"))))
        groups = content(self.pages.registry(asked("detailed=true&group=family")))["model_groups"]
        families = [group["family"] for group in groups]
        self.assertEqual(families, [*sorted(families[:-1]), "unknown"])
        self.assertEqual(sum(group["model_count"] for group in groups), 8)

    def test_tag(self) -> None:
        """The tag changes with the models, not with their age (§11.1)."""
        before = self.pages.registry({}).tag
        self.pages.clock = lambda: WALL + 3600
        self.assertEqual(self.pages.registry({}).tag, before)
        self.pages.catalog.update(VLLM, named("new"), 9.0, WALL)
        self.assertNotEqual(self.pages.registry({}).tag, before)
