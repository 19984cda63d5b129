"""Patience: what counts as a gain."""

from rfcx_ssl.training.state import TrainState


def waits(scores, min_gain, top_k=1):
    """Evaluations without a gain after each score."""
    state, found = TrainState(), []
    for step, score in enumerate(scores, start=1):
        state.step = step
        state.add_candidate(score, top_k, min_gain)
        found.append(state.evaluations_without_gain)
    return found


def test_small_gains_add_up():
    # From 0.50 in steps of 0.01: measured from a best score that moves along, none would ever count.
    scores = [0.50 + 0.01 * i for i in range(8)]
    assert waits(scores, min_gain=0.025) == [0, 1, 2, 0, 1, 2, 0, 1]


def test_a_gain_that_is_too_small_does_not_end_the_waiting():
    assert waits([0.5, 0.52, 0.51, 0.52, 0.53], min_gain=0.05) == [0, 1, 2, 3, 4]


def test_a_loss_does_not_lower_the_bar():
    assert waits([0.5, 0.3, 0.4, 0.49, 0.51], min_gain=0.0) == [0, 1, 2, 3, 0]


def test_the_best_weights_are_kept_whatever_counts_as_a_gain():
    state = TrainState(step=1)
    state.add_candidate(0.5, 1, 0.1)
    state.step = 2
    assert state.add_candidate(0.55, 1, 0.1)
    assert (state.best.step, state.reference, state.evaluations_without_gain) == (2, 0.5, 1)


def test_the_reference_survives_a_checkpoint():
    state = TrainState(step=1)
    state.add_candidate(0.5, 2, 0.1)
    assert TrainState.from_dict(state.to_dict()) == state
