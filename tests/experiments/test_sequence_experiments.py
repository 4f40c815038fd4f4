"""Sequences and layers at small sizes: claims hold, and fail for wrong formulas."""

from __future__ import annotations

import numpy as np
import pytest

from neuromanifold.experiments.memory import MemoryLayers, MemorySequence
from neuromanifold.theory.memory import recall_dynamics

SMALL = {
    "memory-sequence": MemorySequence(),
    "memory-layers": MemoryLayers(),
}


@pytest.mark.parametrize("name", list(SMALL))
def test_claims_hold_and_figures_are_drawn(failed, labelled, name, records):
    assert failed(name) == []
    labelled(SMALL[name].draw(records[name]))


def test_sequence_claims_fail_for_the_noise_of_the_other_memory(failed, records):
    record = records["memory-sequence"]
    mixed = [
        recall_dynamics(a, record["start"].values, SMALL["memory-sequence"].n_steps, "auto").overlap
        for a in record["load"].values
    ]
    wrong = failed("memory-sequence", predicted=np.stack(mixed))
    assert len(wrong) >= 4
    assert any("overlap of the sequence" in text for text in wrong)
    # A sequence that is kept above capacity.
    assert len(failed("memory-sequence", overlap=0.97)) >= 2


def test_layer_claims_fail_for_other_formulas(failed, records):
    record = records["memory-layers"]
    # Sizes of the layers taken as equal.
    same = recall_dynamics(0.2, record["start"].values, record.sizes["layer"] - 1, "sequence").overlap
    assert len(failed("memory-layers", cascade_predicted=same)) >= 1
    # Without the state that comes back.
    wrong = failed("memory-layers", back=record.back_without.values)
    assert any("back again" in text for text in wrong)
    # A bidirectional memory with the capacity of a cascade, or of a memory of single patterns.
    assert any("is lost" in text for text in failed("memory-layers", end=[0.989, 0.96]))
    assert any("is kept" in text for text in failed("memory-layers", end=[0.5, 0.5]))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MemorySequence(followed=0.15), "followed must be one of loads"),
        (lambda: MemorySequence(overlaps=(0.2, 0.5)), "overlaps must end with 1"),
        (lambda: MemorySequence(n_units=200, loads=(0.05, 0.2)), "n_steps must be below the shortest"),
        (lambda: MemoryLayers(n_cues=500), "n_cues must be at most"),
        (lambda: MemoryLayers(sizes=(100, 100)), "sizes must hold at least three"),
        (lambda: MemoryLayers(pair_overlaps=(0.2, 0.5)), "pair_overlaps must end with 1"),
    ],
)
def test_bad_parameters_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
