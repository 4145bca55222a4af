"""BiomedParse v1 in plain PyTorch under its official state-dict names."""

from semantiseg.baselines.biomedparse.biomedparse import BiomedParse, JointBiomedParse

__all__ = ["BiomedParse", "JointBiomedParse"]
