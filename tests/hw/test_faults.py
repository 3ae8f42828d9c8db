"""A test of the tests: faults planted in the hardware's source, each killed by a named test.

A fault is one replacement in the source of a module of `hw`, made as it is imported. The named test
must fail on it, by its own assertions, within its deadline; that it passes without the fault is
what the rest of the suite shows, and `test_named_tests_pass_without_faults`.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parents[1]
JUDGEMENT = r"^E +(AssertionError|assert |Failed: |spikewright\.golden\.errors\.CheckFailed)"
DEADLINE_S = 600  # a hung bench ends by its own count of cycles long before


@dataclass(frozen=True)
class Fault:
    """`old`, found once in `file`, becomes `new`; `test` notices."""

    name: str
    file: str
    old: str
    new: str
    test: str


NEURON = "core/test_lif.py::test_neuron_is_the_step"
IMAGE = "compiler/test_compile_network.py::test"
OUTSIDE = "system/test_accelerator.py::test_lanes_mask_what_falls_outside"
RANDOM = "system/test_accelerator.py::test_random_networks_spike_by_spike"
GRAPH = "system/test_accelerator.py::test_random_graphs_spike_by_spike"
JOIN, DELAY = "core/test_join.py::test", "streams/test_delay.py::test"
WINDOW = "core/test_serialiser.py::test_a_window_leaves_as_one"
MASKS = "core/test_serialiser.py::test_the_steps_of_a_pass_leave_as_one_mask"
PARALLEL = "test_parallel.py::test_random_graphs_spike_by_spike_and_cycle_by_cycle"
OPERANDS = "core/test_membrane.py::test_an_operand_counts_in_its_steps_and_columns"

FAULTS = [
    Fault("mask of steps ignored", "core/membrane.py",
          "Mux(into[target], ", "Mux(1, ", f"{OPERANDS}[7-2-1]"),
    Fault("first step takes every event", "core/membrane.py",
          'b["steps"][0]', "1", f"{OPERANDS}[40-3-2]"),
    Fault("slots of the step before", "core/membrane.py",
          "Array([Const(0, 1), *own_slots])", "Array([*own_slots, Const(0, 1)])",
          f"{OPERANDS}[7-3-2]"),
    Fault("slots are not cleared", "core/lane.py",
          "membrane.clear_slots.eq(self.write_last)", "membrane.clear_slots.eq(0)",
          f"{PARALLEL}[5]"),
    Fault("slots are cleared at every step", "core/lane.py",
          "membrane.clear_slots.eq(self.write_last)", "membrane.clear_slots.eq(1)",
          f"{PARALLEL}[15]"),
    Fault("columns swapped", "core/walker.py",
          "weight.word_select(column, ",
          "weight.word_select(self.core.channels_per_word - 1 - column, ", f"{PARALLEL}[5]"),
    Fault("masks of another word", "core/serialiser.py",
          "writer.addr.eq(rounds.index)", "writer.addr.eq(0)", f"{MASKS}[0.6-0.0-window0-4-2-2]"),
    Fault("steps in the wrong order", "core/serialiser.py",
          "every = Cat(before, self.fired)", "every = Cat(self.fired, before)",
          f"{MASKS}[0.6-0.0-window0-2-3-1]"),
    Fault("masks are read a visit late", "core/serialiser.py",
          "reader.addr.eq(rounds.next_index)", "reader.addr.eq(rounds.index)",
          f"{MASKS}[0.6-0.0-window0-4-2-2]"),
    Fault("a single word's memory answers with the word before", "core/serialiser.py",
          "if rounds.length == 1:", "if rounds.length == 0:", f"{MASKS}_of_a_single_word"),
    Fault("a window's mask is its last word's", "core/serialiser.py",
          "with m.If(complete):", "with m.If(self.end):", f"{MASKS}[0.6-0.0-window1-3-1-4]"),
    Fault("state of another word", "core/visits.py",
          "reader.addr.eq(rounds.index)", "reader.addr.eq(0)",
          "core/test_visits.py::test_every_word_at_every_step[window0-size4-25-4]"),
    Fault("words visited before their state is back", "core/sweep.py",
          "self.core.framed or self.core.steps_per_pass > 1", "self.core.framed",
          f"{PARALLEL}[5]"),
    Fault("compare is > instead of >=", "core/lif.py",
          "at_threshold.eq(~rest[-1])", "at_threshold.eq(rest > 0)", f"{NEURON}[0-0-subtract]"),
    Fault("no clamp", "core/lif.py",
          "self.membrane.eq(self._clamped(after_reset))", "self.membrane.eq(after_reset)",
          f"{NEURON}[0-0-zero]"),
    Fault("no clamp at the low end", "core/lif.py",
          "above.all() | ~above.any()", "~above.any() | sign", f"{NEURON}[0-0-zero]"),
    Fault("leak rounds instead of flooring", "core/lif.py",
          "(product >> core.leak_shift)",
          "((product + (1 << core.leak_shift >> 1)) >> core.leak_shift)",
          f"{NEURON}[5-3-subtract]"),
    Fault("reset to zero subtracts", "core/lif.py",
          'if core.reset == "subtract"', 'if core.reset != "none"', f"{NEURON}[0-0-zero]"),
    Fault("membrane survives the last step", "core/lif.py",
          "word.eq(Mux(self.restart, 0, membrane", "word.eq(Mux(0, 0, membrane",
          f"{NEURON}[1-3-subtract]"),
    Fault("frame survives the last step", "core/lane.py",
          "membrane.clear_drives.eq(self.restart)", "membrane.clear_drives.eq(0)",
          f"{PARALLEL}[5]"),
    Fault("stale forward at distance 3", "core/bank.py",
          'Mux(shared["third"], newest, newest_before)', "newest_before",
          "core/test_membrane.py::test_sums_under_way_are_forwarded[3]"),
    Fault("forward prefers the older sum", "core/bank.py",
          "Mux(first, total, Mux(older, older_sum, memory_word))",
          "Mux(older, older_sum, Mux(first, total, memory_word))",
          "core/test_membrane.py::test_random_adds_with_gaps"),
    Fault("small memories written a cycle late", "core/bank.py",
          "late = 2 if small else 3", "late = 3",
          "core/test_bank.py::test_no_addition_is_lost[0-32]"),
    Fault("bias forgotten", "core/membrane.py",
          'Mux(b["sweep"]["valid"], bias, ', 'Mux(b["sweep"]["valid"], 0, ',
          "core/test_membrane.py::test_bias_is_the_operand_of_a_sweep"),
    Fault("base is off by one", "core/decoder.py",
          'y["base"] + x["base"]', 'y["base"] + x["base"] + 1',
          "core/test_decoder.py::test_every_position_of_a_convolution"),
    Fault("ready is stuck at 1", "core/join.py",
          "is_open.eq(self.room)", "is_open.eq(1)",
          "core/test_decoder.py::test_what_is_under_way_without_room_is_bounded[0]"),
    Fault("first row of an edge forgotten", "core/decoder.py",
          'word["part"] + start', 'word["part"]',
          "core/test_decoder.py::test_several_edges_share_the_adders"),
    Fault("direct flag of the wrong edge", "core/decoder.py",
          "Const(int(edge.direct))", "Const(int(not edge.direct))",
          "core/test_decoder.py::test_several_edges_share_the_adders"),
    Fault("token taken before all edges have theirs", "core/join.py",
          "is_open & token.all()", "is_open & token.any()",
          f"{JOIN}_a_token_waits_for_all_edges"),
    Fault("an edge at its token holds the others", "core/join.py",
          "event[:index].any()", "(event | self.valid & self.last)[:index].any()",
          f"{JOIN}_an_edge_at_its_token_does_not_hold_the_others"),
    Fault("two edges taken at once", "core/join.py",
          "required[index] & ~ahead &", "required[index] &",
          f"{JOIN}_two_edges_with_events_take_turns"),
    Fault("an edge is never passed by", "core/join.py",
          "highest_first.eq(~highest_first)", "highest_first.eq(0)",
          f"{JOIN}_two_edges_with_events_take_turns"),
    Fault("a queue keeps nothing back", "streams/delay.py",
          "queue.r_en.eq(sink.ready),", "queue.r_en.eq(1),",
          f"{DELAY}_without_a_delay_every_beat_passes"),
    Fault("a frame is taken in every step", "core/join.py",
          "step == 0 if seldom else 1", "1",
          f"{JOIN}_a_direct_edge_is_heard_in_the_first_step_only"),
    Fault("every step opens an inference", "core/join.py",
          "between_inferences.eq(self.token & final)", "between_inferences.eq(self.token)",
          f"{JOIN}_the_first_beat_opens_an_inference"),
    Fault("a fork drops a done bit", "streams/fork.py",
          "done.eq(done | taken)", "done.eq(taken)",
          "streams/test_fork.py::test_every_branch_gets_every_beat_once[0.8-3]"),
    Fault("a fork is done when one branch is", "streams/fork.py",
          "served.all()", "served.any()",
          "streams/test_fork.py::test_every_branch_gets_every_beat_once[0.8-3]"),
    Fault("a delay without its first token", "streams/delay.py",
          "Signal(init=1)", "Signal()",
          f"{DELAY}_the_first_step_is_empty_and_the_last_one_is_dropped"),
    Fault("spikes of the last step go on", "streams/delay.py",
          "source.valid & (token | ~final)", "source.valid",
          f"{DELAY}_the_first_step_is_empty_and_the_last_one_is_dropped"),
    Fault("the last token is dropped too", "streams/delay.py",
          "source.valid & (token | ~final)", "source.valid & ~final",
          f"{DELAY}_the_first_step_is_empty_and_the_last_one_is_dropped"),
    Fault("a window sends at every position", "core/serialiser.py",
          "Mux(order.completes_window, merged, 0)", "merged",
          f"{WINDOW}[0.6-0.0-window0]"),
    Fault("a window remembers the one before", "core/serialiser.py",
          "Mux(order.begins_window, 0, before)", "before",
          f"{WINDOW}[0.1-0.5-window0]"),
    Fault("a partial window sends", "core/order.py",
          "last_y & last_x & whole_y & whole_x", "last_y & last_x",
          "core/test_order.py::test_windows_in_raster_order[size2-window2-2]"),
    Fault("swept words written where the trace is", "core/core.py",
          "lane.write_address.eq(write_visits.address)",
          "lane.write_address.eq(trace_visits.address)",
          f"{GRAPH}[0]"),
    Fault("direct operand to the state", "core/membrane.py",
          'else ~b["direct"]', "else 1",
          "core/test_membrane.py::test_events_add_to_the_state_and_direct_events_to_the_drive"),
    Fault("state of a mixed word without its sign", "core/lif.py",
          "Out(signed(core.held_bits))", "Out(core.state_bits)",
          "core/test_lif.py::test_a_state_that_accumulates_is_written_with_its_sign"),
    Fault("short sweeps of a frame follow at once", "core/sweep.py",
          "max(timing.TURN - self.core.words, 0)", "0",
          "core/test_sweep.py::test_a_direct_core_sweeps_all_steps_behind_one_token[1]"),
    Fault("long sweeps of a frame pause", "core/sweep.py",
          "self.final & self.end if self.core.framed else self.end", "self.end",
          "core/test_sweep.py::test_a_direct_core_sweeps_all_steps_behind_one_token[3]"),
    Fault("an inference is closed with its last beat", "core/core.py",
          "open_inferences + decoder.inference_begins - sweep.done",
          "decoder.inference_begins | sweep.done",
          "core/test_core.py::test_an_inference_is_open_from_its_first_beat_to_its_last_release[7]"),
    Fault("monitor takes a taken beat for a waiting one", "streams/monitor.py",
          "waiting.eq(self.valid & ~self.ready)", "waiting.eq(self.valid & self.ready)",
          "streams/test_monitor.py::test_sound_streams_are_never_broken"),
    Fault("column mask ignored", "core/walker.py",
          'inside &= row_context["mask_x"]',
          'inside &= row_context["mask_x"].any() | row_context["mask_x"]',
          f"{OUTSIDE}[4]"),
    Fault("last entry of a short row lost", "core/walker.py",
          "Mux(long, flagged, count == 2)", "Mux(long, flagged, count == 3)",
          "core/test_walker.py::test_the_last_entry_before_a_token_is_not_lost"),
    Fault("walker ignores the token", "core/walker.py",
          "m.d.sync += self.waiting.eq(1)", "m.d.sync += self.waiting.eq(0)",
          "core/test_walker.py::test_a_step_waits_for_go"),
    Fault("descriptor queue overflows", "core/fetch.py",
          "credits - take + row_dropped + row_left", "credits + row_dropped + row_left",
          "core/test_walker.py::test_room_falls_before_the_queue_overflows"),
    Fault("empty rows reach the walker", "core/fetch.py",
          'request_found["last"] | filled', "1",
          "core/test_walker.py::test_empty_rows_cost_no_lane_cycle"),
    Fault("token overtakes the last spike", "core/serialiser.py",
          'token.eq(current["end"] & (left == 0)', 'token.eq(current["end"] & (rest == 0)',
          "core/test_serialiser.py::test_the_last_spike_comes_before_its_token"),
    Fault("vector queue overflows", "core/serialiser.py",
          "credits - self.issued + not_kept + left_queue", "credits + not_kept + left_queue",
          "core/test_serialiser.py::test_spikes_in_address_order_then_the_token[1.0-0.75-2]"),
    Fault("logits of every step", "core/serialiser.py",
          "keep.eq(self.final)", "keep.eq(1)",
          "core/test_serialiser.py::test_logits_of_the_last_step_only[10-4]"),
    Fault("lanes released before the last write", "core/sweep.py",
          "pause == timing.RELEASE - 1", "pause == 0",
          "core/test_sweep.py::test_released_lanes_read_behind_the_last_write"),
    Fault("an inference ends a step early", "core/sweep.py",
          "number == passes - 1", "number == passes - 2",
          "core/test_sweep.py::test_words_channels_and_steps"),
    Fault("no sweep after reset", "core/sweep.py",
          'm.FSM(init="clear")', 'm.FSM(init="settle")',
          "core/test_sweep.py::test_reset_sweeps_once_and_releases"),
    Fault("swept words written one address late", "core/core.py",
          "write = _delay(m, valid, walk + timing.SWEEP, ",
          "write = _delay(m, valid, walk + timing.SWEEP + 1, ",
          f"{RANDOM}[4]"),
    Fault("synops count what falls outside", "core/lane.py",
          "self.synapse.eq(walker.valid)", "self.synapse.eq(walker.busy)", f"{OUTSIDE}[4]"),
    Fault("residue without the padding", "compiler/lower.py",
          "window, residue = np.divmod(pooled + self.padding[axis], stride)",
          "window, residue = (pooled + self.padding[axis]) // stride, pooled % stride",
          f"{IMAGE}_a_stride_is_a_residue_in_the_row_and_a_quotient_in_the_base"),
    Fault("residue left out of the row", "compiler/lower.py",
          "else residue if self.moves", "else 0 * residue if self.moves",
          f"{RANDOM}[4]"),
    Fault("base moves with every place under a stride", "compiler/lower.py",
          "start = window if self.moves", "start = pooled + self.padding[axis] if self.moves",
          f"{RANDOM}[4]"),
    Fault("a row lists its neighbour residue", "compiler/lower.py",
          "y % sy * sx + x % sx", "y % sy * sx + (x + 1) % sx",
          f"{IMAGE}_residues_of_both_axes_share_the_row_number"),
    Fault("a tap behind the kernel's end", "compiler/lower.py",
          "exists = tap * stride + residue < self.kernel[axis]", "exists = True",
          f"{IMAGE}_empty_residues_are_dropped_by_the_decoder"),
    Fault("groups see the first group", "compiler/lower.py",
          "group * inputs + within", "within",
          f"{IMAGE}_a_row_has_no_channels_of_another_group"),
    Fault("rows near a border list every tap", "compiler/lower.py",
          "hit &= (masks >> tap[axis][which][:, None] & 1) == 1", "hit &= True",
          "compiler/test_lower.py::test_both_forms_compute_the_same[1-stride0-None]"),
    Fault("places go on in the next row", "core/walker.py",
          "Mux(begins_fetched, 0, dense_index)", "dense_index",
          "core/test_walker.py::test_rows_of_one_length_without_pointers[9-False]"),
    Fault("the place of a relative entry comes late", "core/walker.py",
          "self._aim(m, index_valid, dense_index, weight_indexed, context_indexed)",
          "self._aim(m, fetched, dense_index, weight, context_fetched)",
          "core/test_walker.py::test_rows_of_any_length_in_any_order[0-False]"),
    Fault("a row of one length starts where the next does", "core/fetch.py",
          "times_constant(positive, length)", "times_constant(positive + 1, length)",
          "core/test_walker.py::test_rows_of_one_length_without_pointers[3-True]"),
    Fault("entries of rows that no event has", "compiler/pack.py",
          "order = order[used[row[order]]]", "order = order[row[order] >= 0]",
          f"{IMAGE}_a_row_that_no_event_has_holds_no_weight"),
    Fault("branches have no queues", "compiler/queue_depth.py",
          "_meets(network, edge) or (", "(",
          "compiler/test_queue_depth.py::test_every_edge_into_a_join_has_a_queue"),
    Fault("edges share a row number", "compiler/pack.py",
          "row, tap = row + packed_edges[-1].rows, tap + synapses.taps",
          "row, tap = row + packed_edges[-1].rows - 1, tap + synapses.taps",
          "compiler/test_core_plan.py::test_edges_that_meet_lie_one_behind_the_other"),
    Fault("every delayed queue is short", "compiler/queue_depth.py",
          "full if _may_wait(network, edge) else SHORT", "SHORT",
          "compiler/test_core_plan.py::test_a_queue_holds_a_step_only_where_it_may_have_to_wait[a-a-74]"),
    Fault("an offered beat is withdrawn", "streams/throttle.py",
          "open_.eq(~self.hold | offered)", "open_.eq(~self.hold)",
          "streams/test_throttle.py::test_beats_stay_offered_and_all_arrive_in_order[0]"),
]  # fmt: skip


class Runner:
    """Runs named tests of this folder in forks of one process (`planted.py`)."""

    def __init__(self, folder):
        path = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
        self.log = folder / "pytest.log"
        self.process = subprocess.Popen(
            [sys.executable, str(TESTS / "planted.py")], text=True, cwd=folder,
            env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *tests, fault=None):
        """Pytest's exit code and output; None as the code if it ran past the deadline."""
        planted = [fault.file, fault.old, fault.new] if fault else []
        request = {"fault": planted, "tests": [str(TESTS / test) for test in tests],
                   "log": str(self.log), "deadline_s": DEADLINE_S}  # fmt: skip
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        code = json.loads(self.process.stdout.readline())
        return code, self.log.read_text()

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0
        self.process.stdout.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    runner = Runner(tmp_path_factory.mktemp("faults"))
    yield runner
    runner.close()


def test_there_are_enough_faults_with_names_of_their_own():
    assert len(FAULTS) >= 12
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_named_tests_pass_without_faults(run):
    code, output = run(*sorted({fault.test for fault in FAULTS}))
    assert code == 0, output


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_fault_is_killed(run, fault):
    text = (ROOT / "spikewright" / "hw" / fault.file).read_text()
    assert text.count(fault.old) == 1, f"{fault.old!r} is not once in {fault.file}"
    code, output = run(fault.test, fault=fault)
    # 1: tests ran and failed; anything else (an import error, no test found) proves nothing.
    assert code == 1, output
    assert "1 failed" in output
    # By what the test says, not by source that the fault has broken (a NameError, a TypeError).
    assert re.search(JUDGEMENT, output, re.MULTILINE), output
