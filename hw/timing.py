"""Every latency of a core, in cycles: one place for the components and for a cycle model.

A weight entry travels from the walker (its address is presented) to the membrane memory in `WALK`
cycles; a word that enters the membrane pipeline is read, summed and, in a sweep, written back.
"""

WALK = 4
"""Entry address presented -> membrane address presented."""

SUM = 3
"""Membrane address presented -> the sum stands in a register and is written (accumulation)."""

RESULT = SUM + 4
"""Membrane address presented -> membrane and spike of a swept neuron are known."""

SWEEP = SUM + 6
"""Membrane address presented -> the word of a swept neuron is written."""

SETTLE = 2
"""Release of the lanes -> `waiting` of the next step may be believed."""

QUEUE_DEPTH = 17
"""Requests that a lane's queue holds (16 and the output register); 8 or more for throughput."""

QUEUE_SLACK = 4
"""Requests that still come from the decoder after a lane's queue has reported no room."""

DESCRIPTORS = 9
"""Row descriptors fetched ahead (8 and the output register), so that short rows cost no bubble."""

VECTORS = 33
"""Spike vectors between the sweep and the serialiser: more than are under way in a sweep."""
