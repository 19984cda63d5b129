import struct

import numpy as np
import pytest
import soundfile

from rfcx_ssl.manifest.metadata import RecordingMetadata, add_seconds, parse_audiomoth, parse_name, read_metadata

COMMENT = (
    "Recorded at 19:30:00 28/02/2021 (UTC-5) by AudioMoth 24F319055FDF2F5B at medium gain while battery was 4.2V."
)


@pytest.mark.parametrize(
    "name,site,time",
    [
        ("20210301_050000.WAV", None, "2021-03-01T05:00:00+00:00"),
        ("20210301_050000T.WAV", None, "2021-03-01T05:00:00+00:00"),
        ("5E1A2B3C.WAV", None, "2020-01-11T20:08:28+00:00"),
        ("RIDGE-2_20210301_050000.wav", "RIDGE-2", "2021-03-01T05:00:00"),
        ("S4A01234_20180601_133000.wav", "S4A01234", "2018-06-01T13:30:00"),
        ("SMU01_0_20210301_050000_000.wav", "SMU01", "2021-03-01T05:00:00"),
        ("Colonia-2018-06-01_13-30.flac", "Colonia", "2018-06-01T13:30:00"),
        ("El Verde 3-2018-06-01_13-30-15.flac", "El Verde 3", "2018-06-01T13:30:15"),
        ("0a4e7e350.flac", None, None),
        ("site_20211301_050000.wav", None, None),  # there is no month 13
        ("recording.wav", None, None),
    ],
)
def test_names(name, site, time):
    assert parse_name(name) == RecordingMetadata(site, None, time)


@pytest.mark.parametrize(
    "zone,offset", [("UTC", "+00:00"), ("UTC+2", "+02:00"), ("UTC-5", "-05:00"), ("UTC+5:30", "+05:30")]
)
def test_audiomoth_comments(zone, offset):
    parsed = parse_audiomoth(COMMENT.replace("UTC-5", zone))
    assert parsed == RecordingMetadata(None, "24F319055FDF2F5B", f"2021-02-28T19:30:00{offset}")


def test_audiomoth_with_a_deployment_names_itself_as_artist():
    comment = "Recorded at 05:00:00 01/03/2021 (UTC) during deployment 0123456789ABCDEF at medium gain."
    parsed = parse_audiomoth(comment, "AudioMoth 24F319055FDF2F5B")
    assert parsed == RecordingMetadata(None, "24F319055FDF2F5B", "2021-03-01T05:00:00+00:00")
    assert parse_audiomoth("a bird", "a person") == RecordingMetadata()


def write_wav(path, *chunks):
    """A WAV whose extra chunks stand between the format and the samples, as AudioMoth writes them."""
    soundfile.write(path, np.zeros(100, dtype=np.float32), 48_000, subtype="PCM_16")
    data = path.read_bytes()
    at = data.index(b"data")
    extra = b"".join(name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2) for name, body in chunks)
    body = data[8:at] + extra + data[at:]
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def test_the_header_wins_over_the_name(tmp_path):
    path = tmp_path / "RIDGE_20210301_003000.WAV"
    body = COMMENT.encode() + b"\0"
    info = b"INFO" + b"ICMT" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    write_wav(path, (b"junk", b"odd"), (b"LIST", info))
    assert soundfile.info(path).frames == 100
    assert read_metadata(path) == RecordingMetadata("RIDGE", "24F319055FDF2F5B", "2021-02-28T19:30:00-05:00")


def test_guano_is_read(tmp_path):
    path = tmp_path / "x.wav"
    write_wav(
        path, (b"guan", b"GUANO|Version: 1.0\nTimestamp: 2021-03-01T05:00:00-04:00\nSerial: SMM04321\nNote: a:b")
    )
    assert read_metadata(path) == RecordingMetadata(None, "SMM04321", "2021-03-01T05:00:00-04:00")


def test_wamd_is_read(tmp_path):
    fields = ((0, b"\1\0"), (2, b"SMM04321\0"), (4, b"RIDGE"), (5, b"2021-03-01 05:00:00-04:00"))
    write_wav(tmp_path / "x.wav", (b"wamd", b"".join(struct.pack("<HI", n, len(body)) + body for n, body in fields)))
    assert read_metadata(tmp_path / "x.wav") == RecordingMetadata("RIDGE", "SMM04321", "2021-03-01T05:00:00-04:00")


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\xff\xff\xff\xffWAVELIST\xff\xff\xff\xffINFO", b"text" * 50])
def test_damaged_headers_say_nothing(tmp_path, content):
    path = tmp_path / "20210301_050000.WAV"
    path.write_bytes(content)
    assert read_metadata(path) == parse_name(path.name)
    assert read_metadata(tmp_path / "missing.wav") == RecordingMetadata()


def test_segment_times_are_exact_to_the_millisecond():
    assert add_seconds("2021-02-28T23:59:50-05:00", 14.9996875) == "2021-03-01T00:00:05-05:00"
    assert add_seconds(None, 3.0) is None
