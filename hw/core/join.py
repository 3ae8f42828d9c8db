"""The join: arbitrates between a core's incoming edges, and detects the end of a step."""

from amaranth.hdl import Module, Mux, Signal

from spikewright.golden.image.memory_image import CoreImage
from spikewright.hw.hdl import Component, In, Out, like


class Join(Component):
    """Takes events of any edge, and a step's tokens of all edges in one cycle.

    While open (`room` of the cycle before), every cycle takes an edge whose head is a valid event:
    the lowest-numbered one, and after each event in the opposite order, so that two edges
    alternate, and lanes use the time of long rows of one edge for short rows of the other. When the
    heads of all edges that this step requires are tokens, all of them are taken in one cycle as one
    token. So a join stalls an edge only at its token, and continues with the others: delay-free
    graphs cannot deadlock at any queue depth. A direct edge next to event edges is required, and
    ready, in step 0 of an inference only, where it sends its frame and one token. `ready` depends
    on registers, on the head of its own edge, and on the other edges' heads; never on another
    stream's ready. No latency, one beat per cycle. Same order as `golden.cycles.core_step.join`.

    Members
    -------
    room : In(1)
        All lanes have room for the requests that may be under way.
    valid, last : In(edges)
        The heads: edge e in bit e.
    ready : Out(edges)
    taken : Out(edges)
        The edge whose event is taken in this cycle; at most one bit.
    token : Out(1)
        The tokens of all required edges are taken in this cycle.
    inference_begins : Out(1)
        An inference's first beat, event or token, is taken in this cycle.
    """

    room: Signal
    valid: Signal
    last: Signal
    ready: Signal
    taken: Signal
    token: Signal
    inference_begins: Signal

    def __init__(self, core: CoreImage, timesteps: int) -> None:
        self.core = core
        self.tokens = 1 if core.framed else timesteps // core.steps_per_pass  # per inference
        edges = len(core.edges)
        super().__init__({
            "room": In(1),
            "valid": In(edges),
            "last": In(edges),
            "ready": Out(edges),
            "taken": Out(edges),
            "token": Out(1),
            "inference_begins": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Registers: open, the step's number, the order, and whether the inference has begun."""
        m = Module()
        is_open = Signal()
        between_inferences = Signal(init=1)
        step = Signal(range(max(self.tokens, 2)))
        final = Signal()
        required = like(self.valid)
        m.d.sync += is_open.eq(self.room)
        m.d.comb += final.eq(step == self.tokens - 1)
        for index, edge in enumerate(self.core.edges):
            seldom = edge.direct and not self.core.framed
            m.d.comb += required[index].eq(step == 0 if seldom else 1)

        event = like(self.valid)
        token = like(self.valid)
        m.d.comb += [
            event.eq(self.valid & ~self.last & required),
            token.eq((self.valid & self.last) | ~required),
            self.token.eq(is_open & token.all()),
            self.taken.eq(event & self.ready),
        ]
        highest_first = Signal()
        for index in range(len(event)):
            lower, higher = event[:index].any(), event[index + 1 :].any()
            ahead = Mux(highest_first, higher, lower) if len(event) > 1 else 0
            others = (token | (1 << index)).all()
            m.d.comb += self.ready[index].eq(
                is_open & required[index] & ~ahead & (~self.last[index] | others)
            )
        with m.If(self.taken.any()):
            m.d.sync += highest_first.eq(~highest_first)
        m.d.comb += self.inference_begins.eq(between_inferences & (self.token | self.taken.any()))
        with m.If(self.token | self.taken.any()):
            m.d.sync += between_inferences.eq(self.token & final)
        with m.If(self.token):
            m.d.sync += step.eq(step + 1)
            with m.If(final):
                m.d.sync += step.eq(0)
        return m
