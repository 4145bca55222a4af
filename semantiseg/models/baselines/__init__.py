"""The paper's baselines with their official weights: what each reads, how its files are opened, how it is asked."""
