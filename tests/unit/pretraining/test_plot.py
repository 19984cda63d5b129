from PIL import Image

from rfcx_ssl.pretraining.health import HealthBands
from rfcx_ssl.pretraining.log import LogRecord
from rfcx_ssl.pretraining.plot import plot_run

BANDS = HealthBands(5.67, 2, 128, 300)


def test_the_picture_shows_the_curve(tmp_path):
    records = [LogRecord("train", n, {"loss_0": 5.67 - n / 20, "gnorm": 1.0}) for n in range(0, 50, 10)]
    plot_run(tmp_path / "flat.png", records[:1], BANDS)
    plot_run(tmp_path / "curve.png", [*records, LogRecord("valid", 40, {"loss_0": 3.7})], BANDS)
    with Image.open(tmp_path / "flat.png") as flat, Image.open(tmp_path / "curve.png") as curve:
        assert curve.height > 400
        assert flat.tobytes() != curve.tobytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve.png", "flat.png"]
