"""BiomedParse v1 in plain PyTorch under its official state-dict names."""
