"""Speed of a run: audio seconds per second, share of time the loop waits for data, device memory."""

import time

import torch


class Meter:
    """Measures from the last reading on, in this session only; the clock is stopped during evaluation."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.train_s = 0.0
        self.steps = 0
        self.audio_s = 0.0
        self._started = time.perf_counter()

    def resume(self) -> None:
        """Start the clock, also after a pause."""
        self._started = time.perf_counter()

    def lap(self, audio_s: float) -> float:
        """Count one step over ``audio_s`` seconds of audio; returns its seconds."""
        now = time.perf_counter()
        step_s, self._started = now - self._started, now
        self.train_s += step_s
        self.audio_s += audio_s
        self.steps += 1
        return step_s

    def read(self, wait_s: float) -> dict[str, float]:
        """Rates since the last reading; ``wait_s`` is what the loop waited for data."""
        seconds = max(self.train_s, 1e-9)
        values = {
            "audio_s_per_s": self.audio_s / seconds,
            "steps_per_s": self.steps / seconds,
            "loader_wait_share": wait_s / seconds,
        }
        if self.device.type == "cuda":
            values["gpu_memory_gb"] = torch.cuda.max_memory_allocated(self.device) / 1e9
        self.train_s, self.audio_s, self.steps = 0.0, 0.0, 0
        return values
