# Every target makes .venv itself. `make demo` and `make test` are all a newcomer needs.
PYTHON ?= python3
PRESET ?= demo
VENV   := .venv
BIN    := $(VENV)/bin
comma := ,
EXTRAS := pretrain,spectrogram,events,cluster,download,onnx,dev,bench
# A second torch is fetched if pip isolates fairseq's build, so its build tools come first and isolation is off.
BUILD_TOOLS := torch torchaudio torchvision numpy cython setuptools wheel ninja
PIP := $(BIN)/python -m pip --disable-pip-version-check
export OMP_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1
export PYTHONUNBUFFERED := 1
# torch asks for huge pages: a tenth faster on CPU, because fewer pages are faulted in; nothing where there are none.
export THP_MEM_ALLOC_ENABLE ?= 1

# What the presets differ in is named after them: configs/synth, configs/pretrain, configs/finetune/experiment.
GATES_demo := --gates
DATA := data/$(PRESET)
RUN  := runs/$(PRESET)

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

# ---- the demo: every stage through the command a user would type; what is done already is not done again ----
# The baseline and the random-init run do not wait for the pretraining: two single-thread jobs use two cores best.
demo: $(VENV)/.installed
	@mkdir -p $(RUN)/logs
	@$(MAKE) --no-print-directory -j2 $(RUN)/judged
	@echo "open $(RUN)/report.html"

$(DATA)/rfcx/truth.csv:
	@echo "== a synthetic rainforest: $(DATA)/rfcx"
	$(BIN)/rfcx-ssl synth $(DATA)/rfcx --preset $(PRESET)

$(DATA)/manifests/train.tsv: $(DATA)/rfcx/truth.csv
	@echo "== stage 1, manifests: $(DATA)/manifests"
	$(BIN)/python manifests/build.py $(DATA)/rfcx/train --out $(DATA)/manifests

PRETRAINED := $(RUN)/pretrain/checkpoint_last.pt
$(PRETRAINED): $(DATA)/manifests/train.tsv
	@echo "== stage 2, wav2vec 2.0 pretraining: $(RUN)/pretrain"
	$(BIN)/python pretrain/run.py --config-name wav2vec2_$(PRESET)_32k task.data=$(DATA)/manifests checkpoint.save_dir=$(RUN)/pretrain

$(RUN)/encoder/parity.json: $(PRETRAINED)
	@echo "== stage 2, conversion to transformers: $(RUN)/encoder"
	$(BIN)/python pretrain/convert.py $(PRETRAINED) --out $(RUN)/encoder

# All on the CPU: the report compares training times.
TRAIN = ACCELERATE_USE_CPU=true $(BIN)/python finetune/train.py experiment=$(PRESET) data.root=$(DATA)/rfcx output_dir=$(@D)

$(RUN)/panns/done: $(DATA)/rfcx/truth.csv
	@echo "== stage 3, PANNs baseline: $(RUN)/panns (log: $(RUN)/logs/panns.log)"
	$(TRAIN) model=panns_demo optim.encoder_lr=2e-3 > $(RUN)/logs/panns.log 2>&1 || (tail -20 $(RUN)/logs/panns.log; exit 1)
	touch $@

$(RUN)/random_init/done: $(RUN)/encoder/parity.json
	@echo "== stage 3, the same encoder from random weights: $(RUN)/random_init (log: $(RUN)/logs/random_init.log)"
	$(TRAIN) model.encoder=$(RUN)/encoder model.encoder_weights=random > $(RUN)/logs/random_init.log 2>&1 \
	  || (tail -20 $(RUN)/logs/random_init.log; exit 1)
	touch $@

$(RUN)/pretrained/done: $(RUN)/encoder/parity.json
	@echo "== stage 3, fine-tuning the pretrained encoder: $(RUN)/pretrained"
	$(TRAIN) model.encoder=$(RUN)/encoder
	touch $@

$(RUN)/judged: $(RUN)/panns/done $(RUN)/random_init/done $(RUN)/pretrained/done
	@echo "== evaluation on the test recordings against complete truth"
	$(BIN)/python finetune/compare.py --threads 2 --data $(DATA)/rfcx --out $(RUN) --pretrained pretrained --random-init random_init \
	  $(GATES_$(PRESET)) pretrained=$(RUN)/pretrained random_init=$(RUN)/random_init panns=$(RUN)/panns
	@touch $@

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-unit: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/unit

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed
	for file in tests/benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:
	rm -rf runs/demo runs/tiny data/demo data/tiny
