"""What is measured: loads that ``llmload`` can offer, the figure that counts in each, and the goals."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class Figure:
    """
    What one number says.

    :ivar key: its name in a measurement.
    :ivar unit: for the heading of its column.
    :ivar digits: decimals shown.
    :ivar ratio: whether to show how many times nginx's it is.
    """

    key: str
    unit: str
    digits: int = 1
    ratio: bool = False


REQUEST = Figure("cpu_us_per_req", "CPU µs/request", ratio=True)
TOKEN = Figure("cpu_us_per_token", "CPU µs/token", ratio=True)
HELD = Figure("held_kib", "KiB/stream")
GROWTH = Figure("growth_mib", "growth MiB")
RATE = Figure("rps", "requests/s", 0)
TOKENS = Figure("tokens_s", "tokens/s", 0)
BULK = Figure("MB_s", "MB/s", 0)
LATENCY = (Figure("latency_p50_ms", "p50 ms", 2), Figure("latency_p99_ms", "p99 ms", 2))
FIRST = (Figure("ttft_p50_ms", "first token p50 ms", 2), Figure("ttft_p99_ms", "p99 ms", 2))
DELAY = (Figure("token_delay_p50_ms", "token delay p50 ms", 2), Figure("token_delay_p99_ms", "p99 ms", 2))


@frozen
class Scenario:
    """
    One load.

    :ivar what: it, in a sentence.
    :ivar arguments: of ``llmload``.
    :ivar figure: what counts.
    :ivar others: shown beside.
    :ivar connections: of clients; a proxy needs two descriptors for each.
    :ivar heavy: more than LiteLLM can carry.
    """

    name: str
    what: str
    arguments: str
    figure: Figure
    others: tuple[Figure, ...]
    heavy: bool = False
    connections: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        words = self.arguments.split()
        object.__setattr__(self, "connections", int(words[words.index("--conns") + 1]))


SCENARIOS = {
    one.name: one
    for one in (
        Scenario(
            "req1",
            "One connection, requests of ~1.5 kB without a stream.",
            "--mode req --conns 1 --warmup 0.5 --duration 2",
            REQUEST,
            (RATE, *LATENCY),
        ),
        Scenario(
            "req32",
            "32 connections that are kept, requests of ~1.5 kB without a stream.",
            "--mode req --conns 32 --warmup 1 --duration 3",
            REQUEST,
            (RATE, *LATENCY),
        ),
        Scenario(
            "req32new",
            "The same with a new connection for each request.",
            "--mode req --conns 32 --warmup 1 --duration 3 --reconnect",
            REQUEST,
            (RATE, *LATENCY),
        ),
        Scenario(
            "setup",
            "Streams of one token: what it costs to begin and end one.",
            "--mode stream --conns 32 --tokens 1 --gap-us 1000 --warmup 1 --duration 3",
            REQUEST,
            (RATE, *FIRST),
        ),
        Scenario(
            "s20",
            "20 streams of 50 tokens/s: a load that everybody carries.",
            "--mode stream --conns 20 --tokens 50 --gap-us 20000 --ramp 1 --warmup 1.2 --duration 4",
            TOKEN,
            (TOKENS, *FIRST, *DELAY),
        ),
        Scenario(
            "s200",
            "200 streams of 50 tokens/s; a hundredth of a stream's beginning and end is part of each token.",
            "--mode stream --conns 200 --tokens 100 --gap-us 20000 --ramp 2 --warmup 2.2 --duration 4",
            TOKEN,
            (TOKENS, *FIRST, *DELAY),
            heavy=True,
        ),
        Scenario(
            "s1000",
            "1,000 streams of 10 tokens/s.",
            "--mode stream --conns 1000 --tokens 50 --gap-us 100000 --ramp 5 --warmup 5.2 --duration 5",
            TOKEN,
            (TOKENS, *FIRST, *DELAY),
            heavy=True,
        ),
        Scenario(
            "s4000",
            "4,000 streams of 2.5 tokens/s.",
            "--mode stream --conns 4000 --tokens 25 --gap-us 400000 --ramp 10 --warmup 10.2 --duration 5",
            TOKEN,
            (TOKENS, *FIRST, *DELAY),
            heavy=True,
        ),
        Scenario(
            "sat",
            "200 streams that offer more than a proxy takes: tokens go together, so read the delay.",
            "--mode stream --conns 200 --tokens 1000 --gap-us 1500 --ramp 0.5 --warmup 1.5 --duration 3",
            TOKEN,
            (TOKENS, *FIRST, *DELAY),
            heavy=True,
        ),
        Scenario(
            "bulk",
            "32 streams without a pause, tokens in bursts of 16.",
            "--mode stream --conns 32 --tokens 500 --gap-us 0 --warmup 1 --duration 3",
            TOKEN,
            (TOKENS, BULK),
            heavy=True,
        ),
        Scenario(
            "hold1000",
            "1,000 streams that are held and say nothing: how much the process grows for each.",
            "--mode stream --conns 1000 --tokens 3 --gap-us 60000000 --ramp 2 --warmup 2.5 --duration 20 --hold",
            HELD,
            (),
            heavy=True,
        ),
        Scenario(
            "hold4000",
            "4,000 streams that are held and say nothing.",
            "--mode stream --conns 4000 --tokens 3 --gap-us 60000000 --ramp 6 --warmup 6.5 --duration 30 --hold",
            HELD,
            (),
            heavy=True,
        ),
        Scenario(
            "slow100",
            "100 clients that read 1 KiB/s of streams that could fill megabytes at once: how much the process grows "
            "(R49). Afterwards all of them read on and check each token.",
            "--mode stream --conns 100 --tokens 10000 --gap-us 0 --sip 1024 --finish 100 --warmup 1 --duration 5",
            GROWTH,
            (),
            heavy=True,
        ),
        Scenario(
            "slow4000",
            "4,000 of them. Afterwards 200 read on, and the others leave.",
            "--mode stream --conns 4000 --tokens 10000 --gap-us 0 --sip 1024 --finish 200 --ramp 6 --warmup 7"
            " --duration 10",
            GROWTH,
            (),
            heavy=True,
        ),
    )
}
USUAL = "req32,setup,s20,s200,s1000,s4000,bulk,hold1000,hold4000,slow100,slow4000"

WARM_UP = Scenario(
    "warm-up",
    "A few short streams.",
    "--mode stream --conns 8 --tokens 20 --gap-us 1000 --warmup 0.1 --duration 0.5",
    TOKEN,
    (),
)
SMOKE = tuple(
    Scenario(one.name, one.what, arguments, one.figure, one.others)
    for one, arguments in (
        (SCENARIOS["req32"], "--mode req --conns 8 --warmup 0.1 --duration 0.4"),
        (SCENARIOS["s200"], "--mode stream --conns 8 --tokens 20 --gap-us 5000 --warmup 0.1 --duration 0.4"),
        (
            SCENARIOS["slow100"],
            "--mode stream --conns 8 --tokens 10000 --gap-us 0 --sip 1024 --finish 4 --warmup 0.1 --duration 0.5",
        ),
    )
)


@frozen
class Goal:
    """
    What Olla promises itself in one scenario.

    :ivar what: is measured, for the table of goals.
    :ivar key: of the figure.
    :ivar beside: the target whose figure of the same round it is a ratio to, or more than; ``""`` for itself.
    :ivar least: at most so much, for each of Olla's three shapes.
    """

    scenario: str
    what: str
    key: str
    beside: str
    least: dict[str, float]

    def of(self, own: float, reference: float) -> float:
        """Give what is held against the goal."""
        if not self.beside:
            return own
        return own - reference if self.beside == "direct" else own / reference


def _three(stock: float, lean: float, sherpa: float) -> dict[str, float]:
    return {"olla": stock, "olla-lean": lean, "sherpa": sherpa}


GOALS = (
    Goal("req32", "a request without a stream, CPU / nginx", "cpu_us_per_req", "nginx", _three(3.0, 2.0, 20.0)),
    Goal("setup", "a stream's beginning and end, CPU / nginx", "cpu_us_per_req", "nginx", _three(2.8, 2.0, 16.0)),
    Goal("s200", "a token, CPU / nginx", "cpu_us_per_token", "nginx", _three(1.9, 1.4, 3.1)),
    Goal("s200", "first token later by, ms (p50)", "ttft_p50_ms", "direct", _three(0.4, 0.3, 2.0)),
    Goal("hold4000", "a held stream, KiB", "held_kib", "", _three(10.0, 10.0, 30.0)),
    Goal("slow100", "growth for 100 slow readers, MiB", "growth_mib", "", _three(16.0, 16.0, 16.0)),
    Goal("slow4000", "growth for 4,000 slow readers, MiB", "growth_mib", "", _three(384.0, 384.0, 384.0)),
)
