"""Fine-tuning with Accelerate: the loop, exact resume, cross-validation."""
