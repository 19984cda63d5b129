# What the presets of `make demo` differ in. Everything else stands in the Makefile and in the YAML files it names.
# The data set comes from configs/synth/<preset>.yaml, pretraining from configs/pretrain/wav2vec2_<preset>_32k.yaml.
# One budget for all three models: the same steps, batches, crops, masks and augmentation.
BUDGET_demo := data.num_folds=8 max_steps=320 batch_size=16 evaluation.max_recordings=48
BUDGET_tiny := max_steps=20 batch_size=8 evaluation.max_recordings=8
GATES_demo := --gates
GATES_tiny :=
