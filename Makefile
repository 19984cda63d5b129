# Every target makes .venv itself. `make demo` and `make test` are all a newcomer needs.
PYTHON ?= python3
PRESET ?= demo
VENV   := .venv
BIN    := $(VENV)/bin
comma := ,
EXTRAS := pretrain,spectrogram,events,cluster,download,onnx,dev
# A second torch is fetched if pip isolates fairseq's build, so its build tools come first and isolation is off.
BUILD_TOOLS := torch torchaudio torchvision numpy cython setuptools wheel ninja
PIP := $(BIN)/python -m pip --disable-pip-version-check
export OMP_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1

.PHONY: help demo test test-unit lint bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo               the whole chain on a synthetic rainforest: runs/demo/report.html (CPU, about 15 minutes)"
	@echo "make demo PRESET=tiny   the same in a few minutes, too small to learn much: runs/tiny/report.html"
	@echo "make test               all tests      make test-unit   the fast ones"
	@echo "make lint               ruff and mypy  make bench       benchmarks (JSON lines)"

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "== 1/3 torch and build tools (one torch, the plain PyPI build)"
	$(PIP) install -q -c constraints.txt $(BUILD_TOOLS)
	@echo "== 2/3 fairseq is compiled while the other packages are installed"
	set -e; $(PIP) wheel -q --no-deps --no-build-isolation -c constraints.txt -w $(VENV)/wheels fairseq-fixed & \
	  build=$$!; $(PIP) install -q -c constraints.txt -e '.[$(subst pretrain$(comma),,$(EXTRAS))]'; wait $$build
	@echo "== 3/3 fairseq and rfcx-ssl itself"
	$(PIP) install -q -c constraints.txt --find-links $(VENV)/wheels -e '.[$(EXTRAS)]'
	touch $@

test: $(VENV)/.installed
	$(BIN)/python -m pytest

test-unit: $(VENV)/.installed
	$(BIN)/python -m pytest tests/unit

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed
	for file in tests/benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:
	rm -rf runs/demo runs/tiny data/demo data/tiny
