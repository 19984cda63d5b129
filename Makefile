# Every target makes .venv itself. `make demo` and `make test` are all a newcomer needs.
PYTHON ?= python3
PRESET ?= demo
VENV   := .venv
BIN    := $(VENV)/bin
comma := ,
EXTRAS := pretrain,spectrogram,events,cluster,download,onnx,zarr,app,docs,dev,bench
# A second torch is fetched if pip isolates fairseq's build, so its build tools come first and isolation is off.
BUILD_TOOLS := torch torchaudio torchvision numpy cython setuptools wheel ninja
PIP := $(BIN)/python -m pip --disable-pip-version-check
export OMP_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1
export PYTHONUNBUFFERED := 1
# torch asks for huge pages: a tenth faster on CPU, because fewer pages are faulted in; nothing where there are none.
export THP_MEM_ALLOC_ENABLE ?= 1

# What the presets differ in is named after them: configs/synth, configs/pretrain, configs/finetune/experiment.
FEW_demo := data.labels_per_species=3
FEW_tiny := data.labels_per_species=1
GATES_demo := --gate best prior 0.1 --gate few_pretrained few_random_init 0.03 --gate all_pretrained all_panns 0.03
DATA := data/$(PRESET)
RUN  := runs/$(PRESET)

.PHONY: help install demo test test-unit lint bench docs coverage mutation audit licenses clean
.DEFAULT_GOAL := help

help:
	@echo "make demo               the whole chain on a synthetic rainforest: runs/demo/report.html (CPU, about 15 minutes)"
	@echo "make demo PRESET=tiny   the same in a few minutes, too small to learn much: runs/tiny/report.html"
	@echo "make install            .venv with everything, and no more"
	@echo "make test               all tests      make test-unit   the fast ones"
	@echo "make lint               ruff and mypy  make bench       benchmarks (JSON lines)"
	@echo "make docs               the documentation site: build/site/index.html"
	@echo "make coverage           all tests, and which lines of rfcx_ssl they do not reach (at least 92 % must be)"
	@echo "make mutation           300 mutants of labels, folds, metrics, losses and sampler: do the tests see them? (20 minutes at most)"
	@echo "make audit              known weaknesses of the pinned packages (needs pypi.org)    make licenses   their licences"

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

install: $(VENV)/.installed

# ---- the demo: every stage through the command a user would type; what is done already is not done again ----
# The baseline waits for the manifests, so that the pretraining starts first and runs beside it: two single-thread jobs use two cores best.
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
	@echo "== stage 2, wav2vec 2.0 on log-mel, pretraining: $(RUN)/pretrain"
	$(BIN)/python pretrain/run.py --config-name wav2vec2_mel_$(PRESET)_32k task.data=$(DATA)/manifests checkpoint.save_dir=$(RUN)/pretrain

ENCODER := $(RUN)/encoder/parity.json
$(ENCODER): $(PRETRAINED)
	@echo "== stage 2, conversion to transformers: $(RUN)/encoder"
	$(BIN)/python pretrain/convert.py $(PRETRAINED) --out $(RUN)/encoder

# Stage 3: $(call fit,NAME,SETTINGS,WAITS_FOR). All on the CPU: the report compares training times.
TRAIN = ACCELERATE_USE_CPU=true $(BIN)/python finetune/train.py experiment=$(PRESET) data.root=$(DATA)/rfcx
define fit
$(RUN)/$(1)/done: $(3)
	@echo "== stage 3, $(1): $(RUN)/$(1) (log: $(RUN)/logs/$(1).log)"
	@$(TRAIN) output_dir=$(RUN)/$(1) $(2) > $(RUN)/logs/$(1).log 2>&1 || (tail -20 $(RUN)/logs/$(1).log; exit 1)
	@grep " final: " $(RUN)/logs/$(1).log
	@touch $$@
endef
PANNS := model=panns_demo optim.encoder_lr=2e-3
MEL := model.encoder=$(RUN)/encoder
RANDOM := $(MEL) model.encoder_weights=random
$(eval $(call fit,few_panns,$(PANNS) $(FEW_$(PRESET)),$(DATA)/manifests/train.tsv))
$(eval $(call fit,all_panns,$(PANNS),$(DATA)/manifests/train.tsv))
$(eval $(call fit,few_random_init,$(RANDOM) $(FEW_$(PRESET)),$(ENCODER)))
$(eval $(call fit,all_random_init,$(RANDOM),$(ENCODER)))
$(eval $(call fit,few_pretrained,$(MEL) $(FEW_$(PRESET)),$(ENCODER)))
$(eval $(call fit,all_pretrained,$(MEL),$(ENCODER)))
RUNS := $(foreach labels,few all,$(foreach model,panns random_init pretrained,$(labels)_$(model)))

$(RUN)/judged: $(ENCODER) $(RUNS:%=$(RUN)/%/done)
	@echo "== evaluation on the test recordings against complete truth"
	$(BIN)/python finetune/compare.py --threads 2 --data $(DATA)/rfcx --out $(RUN) $(GATES_$(PRESET)) $(foreach run,$(RUNS),$(run)=$(RUN)/$(run))
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

docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "read it: $(BIN)/python -m http.server -d build/site, then http://localhost:8000 (from the disk all works but search)"

coverage: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov=rfcx_ssl --cov-report=term:skip-covered --cov-report=html \
	  -k "not full_disk and not signal_ends_the_run"  # they would meet coverage's own files and handler

mutation: $(VENV)/.installed
	$(PIP) install -q 'mutmut==3.8.0'
	$(BIN)/python tests/mutation/run.py --mutants 300 --minutes 20

# In a place of their own: what is looked at must not change by looking.
TOOLS := $(VENV)/tools
$(TOOLS)/.installed:
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip --disable-pip-version-check install -q 'pip-audit>=2.10' 'pip-licenses>=5.5'
	touch $@

audit: $(VENV)/.installed $(TOOLS)/.installed
	$(TOOLS)/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

licenses: $(VENV)/.installed $(TOOLS)/.installed
	$(TOOLS)/bin/pip-licenses --python $(BIN)/python --partial-match --fail-on 'AGPL;GNU General Public;GNU GPL;GPLv2;GPLv3'

clean:
	rm -rf runs/demo runs/tiny data/demo data/tiny
