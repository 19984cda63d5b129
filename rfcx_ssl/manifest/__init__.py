"""From folders of field recordings to fairseq manifests: scan, cut, split, validate, publish."""
