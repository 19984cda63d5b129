"""The curve over several checkpoints of one run."""

from types import SimpleNamespace

from rfcx_ssl.probing.figures import update_curve


def section(*updates):
    verdicts = [
        SimpleNamespace(num_updates=number, encoder=SimpleNamespace(score=SimpleNamespace(ap=ap)))
        for number, ap in updates
    ]
    controls = [SimpleNamespace(name="random weights", score=SimpleNamespace(ap=0.3))]
    bench = SimpleNamespace(floors=SimpleNamespace(prior=0.1))
    return SimpleNamespace(verdicts=verdicts, controls=controls, bench=bench)


def test_checkpoints_stand_in_the_order_of_their_updates_beside_controls_and_floor():
    (axes,) = update_curve(section((900, 0.6), (300, 0.5), (None, 0.9))).axes
    curve, control, floor = axes.get_lines()
    assert (list(curve.get_xdata()), list(curve.get_ydata())) == ([300, 900], [0.5, 0.6])
    assert (control.get_label(), control.get_ydata()[0]) == ("random weights", 0.3)
    assert (floor.get_label(), floor.get_ydata()[0]) == ("class prior", 0.1)


def test_one_checkpoint_is_no_curve():
    assert update_curve(section((900, 0.6), (None, 0.9))) is None
